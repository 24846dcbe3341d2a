%% Text, as one type: what may be written as a binary, a string or an atom becomes a UTF-8 binary.
%%
%%   1> [mongoose_domain_text:read(Text) || Text <- [<<"muc.">>, "muc.", ["mu", $c, <<".">>], 'muc.']].
%%   [{ok,<<"muc.">>},{ok,<<"muc.">>},{ok,<<"muc.">>},{ok,<<"muc.">>}]
%%
%% Erlang's configuration has strings, Elixir's has binaries, and both have atoms. An empty text is none, nor are
%% `true' and `false', nor what stands for an absent value: `undefined', Elixir's `nil', and `null'.
-module(mongoose_domain_text).

-export([read/1, filename/1, is_absent/1, without_absent/1]).

%% @doc The text as a UTF-8 binary of one byte at least, or an error where the term is no such text.
-spec read(term()) -> {ok, binary()} | error.
read(Text) when is_atom(Text) ->
    case is_name(Text) of
        true -> read(atom_to_binary(Text));
        false -> error
    end;
read(Text) when is_binary(Text); is_list(Text) ->
    try unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary), Binary =/= <<>> -> {ok, Binary};
        _EmptyOrNoText -> error
    catch
        error:badarg -> error
    end;
read(_Other) ->
    error.

%% @doc The name of a file as the functions of `file' take it. A binary stays as it is: names need not be UTF-8.
-spec filename(term()) -> {ok, file:filename_all()} | error.
filename(Name) when is_binary(Name), Name =/= <<>> ->
    {ok, Name};
filename([_ | _] = Name) ->
    case io_lib:char_list(Name) of
        true -> {ok, Name};
        false -> read(Name)
    end;
filename(Name) when is_atom(Name) ->
    read(Name);
filename(_Other) ->
    error.

%% @doc Whether the term stands for a value that is not given.
-spec is_absent(term()) -> boolean().
is_absent(Value) ->
    lists:member(Value, [undefined, nil, null]).

%% @doc The options without those that are not given.
-spec without_absent(#{Key => term()}) -> #{Key => term()}.
without_absent(Options) ->
    maps:filter(fun(_Key, Value) -> not is_absent(Value) end, Options).

is_name(Atom) ->
    not is_boolean(Atom) andalso not is_absent(Atom).
