%% Looks for a secret wherever it may hide in a term: in texts, and in what a log or a crash report
%% would print of it.
-module(md_secret).

-export([is_in/2]).

%% @doc Whether the secret can be read in the term as it is printed.
-spec is_in(string(), term()) -> boolean().
is_in(Secret, Term) ->
    %% Characters one by one, in case that a text is not printed as one.
    Codes = lists:join($,, [integer_to_list(Code) || Code <- Secret]),
    Printed = [io_lib:format(Format, [Term]) || Format <- ["~0tp", "~tw"]],
    lists:any(fun(Needle) -> is_printed(Needle, Printed) end, [Secret, lists:flatten(Codes)]).

is_printed(Needle, Printed) ->
    lists:any(fun(Text) -> string:find(Text, Needle) =/= nomatch end, [unicode:characters_to_binary(P) || P <- Printed]).
