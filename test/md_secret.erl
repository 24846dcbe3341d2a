%% Finds a secret in a term: in its texts, and in what a log or a crash report would print.
-module(md_secret).

-export([is_in/2]).

%% @doc Whether the printed term contains the secret.
-spec is_in(string(), term()) -> boolean().
is_in(Secret, Term) ->
    %% A text may also be printed as a list of character codes.
    Codes = lists:join($,, [integer_to_list(Code) || Code <- Secret]),
    Printed = [io_lib:format(Format, [Term]) || Format <- ["~0tp", "~tw"]],
    lists:any(fun(Needle) -> is_printed(Needle, Printed) end, [Secret, lists:flatten(Codes)]).

is_printed(Needle, Printed) ->
    lists:any(fun(Text) -> string:find(Text, Needle) =/= nomatch end, [unicode:characters_to_binary(P) || P <- Printed]).
