%% Checks one value of the configuration against the type that mongoose_domain_config_keys gives its key.
%%
%% Each function returns the value as the rest of the application uses it, with texts as binaries, or throws
%% `{wrong, Problem}'.
-module(mongoose_domain_config_check).

-export([section/3, value/3]).

-type path() :: mongoose_domain_config_problem:path().

%% @doc The values of a map, which has only keys of this section; the defaults for those that are not given.
-spec section([atom()], mongoose_domain_config_keys:section(), map()) -> #{atom() => term()}.
section(Path, Section, Options) ->
    Given = mongoose_domain_text:without_absent(Options),
    Rows = mongoose_domain_config_keys:keys(Section),
    Known = [Key || {Key, _, _, _} <- Rows],
    [wrong(Path ++ [Other], mongoose_domain_config_problem:not_shown(),
           io_lib:format("no such key; known are ~p", [Known])) || Other <- maps:keys(Given) -- Known],
    maps:from_list([{Key, option(Path ++ [Key], Type, Given, Default)} || {Key, Type, _Unit, Default} <- Rows]).

option(Path, Type, Given, Default) ->
    case {maps:find(lists:last(Path), Given), Default} of
        {{ok, Value}, _} -> value(Path, Type, Value);
        {error, required} -> wrong(Path, undefined, "a value: this key must be there");
        {error, _} -> Default
    end.

%% @doc The value of this type.
-spec value(path(), mongoose_domain_config_keys:type(), term()) -> term().
value(Path, {map, tls}, #{certificate := _, key := _} = Tls) ->
    section(Path, tls, Tls);
value(Path, {map, tls}, _Other) ->
    wrong(Path, mongoose_domain_config_problem:not_shown(), "a map with certificate and key, the names of PEM files");
value(Path, {map, Section}, #{} = Options) when is_list(Path) ->
    section(Path, Section, Options);
value(Key, {map, Section}, #{} = Options) ->
    section([Key], Section, Options);
value(Path, {map, _Section}, Value) ->
    wrong(Path, shown(Value), "a map, or no such key");
value(Path, {integer, Min, Max}, Value) ->
    is_integer(Value) andalso Value >= Min andalso Value =< Max
        orelse wrong(Path, shown(Value), io_lib:format("an integer from ~b to ~b", [Min, Max])),
    Value;
value(Path, {one_of, Words}, Value) ->
    lists:member(Value, Words)
        orelse wrong(Path, shown(Value), lists:join(" or ", [atom_to_list(Word) || Word <- Words])),
    Value;
value(Path, boolean, Value) ->
    is_boolean(Value) orelse wrong(Path, shown(Value), "true or false"),
    Value;
value(Path, share, Value) ->
    is_number(Value) andalso Value >= 0 andalso Value =< 1 orelse wrong(Path, shown(Value), "a number from 0 to 1"),
    float(Value);
value(Path, text, Value) ->
    case mongoose_domain_text:read(Value) of
        {ok, Text} -> Text;
        error -> wrong(Path, shown(Value), "a text")
    end;
value(Path, texts, Value) ->
    [value(Path, text, Text) || Text <- list(Path, Value, shown(Value), "a list of texts")];
value(Path, user_name, Value) ->
    Name = value(Path, text, Value),
    %% HTTP's Basic authentication ends the name at the first colon.
    binary:match(Name, <<":">>) =:= nomatch orelse wrong(Path, Name, "a name without a colon"),
    Name;
value(Path, host_names, Value) ->
    [host_name(Path, Name) || Name <- value(Path, texts, Value)];
value(Path, address, Value) ->
    case address(Value) of
        {ok, Text} -> list_to_binary(Text);
        error -> wrong(Path, shown(Value), "an address, such as \"127.0.0.1\", \"::1\" or {127, 0, 0, 1}")
    end;
value(_Path, port, Value) when is_integer(Value), Value >= 0, Value =< 65535 ->
    Value;
value(Path, port, Value) ->
    wrong(Path, shown(Value), "a number from 0 (any port that is free) to 65535");
value(Path, pem_file, Value) ->
    case encoded_filename(Value) of
        {ok, Bytes} -> Bytes;
        error -> wrong(Path, shown(Value), "the name of a PEM file")
    end;
value(Path, secret, Value) ->
    mongoose_domain_secret:read(Path, Value, "a password");
value(Path, database, {Place, _Name} = Database) when Place =:= env; Place =:= file ->
    ok = mongoose_domain_secret:check_place(Path, Database),
    Database;
value(_Path, database, {pool, Pool} = Database) when is_atom(Pool) ->
    Database;
value(_Path, database, Url) when is_binary(Url); is_list(Url) ->
    Url;
value(Path, database, _Other) ->
    wrong(Path, mongoose_domain_config_problem:not_shown(),
          "a URL as text (postgres://..., mysql://... or sqlite:FILE), {env, \"NAME\"} or {file, \"PATH\"}");
value(Path, directory, Value) ->
    directory(Path, Value);
value(Path, router, Value) ->
    case is_atom(Value) andalso code:ensure_loaded(Value) of
        {module, Value} -> Value;
        _ -> wrong(Path, Value, "a module of the behaviour mongoose_domain_router that can be loaded")
    end;
value(Path, integration, Value) ->
    case is_atom(Value) andalso code:ensure_loaded(Value) =:= {module, Value}
         andalso erlang:function_exported(Value, environment, 0) of
        true -> Value;
        false -> wrong(Path, Value, "a module of the behaviour mongoose_domain_integration that can be loaded")
    end;
value(Path, hosts, Value) ->
    Expected = "a list of {Domain, HostType}, or of Domain for one that is its own host type",
    [host(Path, Host) || Host <- list(Path, Value, Value, Expected)];
value(Path, host_types, Value) ->
    [text_or_same(HostType) || HostType <- list(Path, Value, Value, "a list of host types")];
value(_Key, Type, Value) when Type =:= services; Type =:= modules; Type =:= removal_handlers; Type =:= subdomains ->
    mongoose_domain_config_components:check(Type, Value).

%% A string is a list, too, but none of texts.
list(_Path, [], _Shown, _Expected) ->
    [];
list(Path, Value, Shown, Expected) when length(Value) > 0 ->
    case io_lib:char_list(Value) of
        true -> wrong(Path, Shown, Expected);
        false -> Value
    end;
list(Path, _NoList, Shown, Expected) ->
    wrong(Path, Shown, Expected).

host(_Path, {Domain, HostType}) ->
    {text_or_same(Domain), text_or_same(HostType)};
host(_Path, Domain) when is_binary(Domain); is_list(Domain); is_atom(Domain) ->
    Name = text_or_same(Domain),
    {Name, Name};
host(Path, Other) ->
    wrong(Path, Other, "{Domain, HostType}, or Domain for one that is its own host type").

%% mongoose_domain_core reports and leaves out what cannot be a name.
text_or_same(Value) ->
    case mongoose_domain_text:read(Value) of
        {ok, Text} -> Text;
        error -> Value
    end.

%% What a browser sends as `host', without the port.
host_name(Path, Name) ->
    binary:match(Name, [<<"/">>, <<":">>, <<"*">>, <<" ">>]) =:= nomatch andalso Name =/= <<>>
        orelse wrong(Path, Name, "names such as \"admin.example\", without a scheme or a port"),
    Name.

address(Address) when is_tuple(Address) ->
    case inet:ntoa(Address) of
        {error, einval} -> error;
        Text -> {ok, Text}
    end;
address(Value) ->
    case mongoose_domain_text:read(Value) of
        {ok, Text} ->
            case inet:parse_strict_address(unicode:characters_to_list(Text)) of
                {ok, Address} -> address(Address);
                {error, einval} -> error
            end;
        error -> error
    end.

encoded_filename(Value) ->
    case mongoose_domain_text:filename(Value) of
        {ok, Name} -> mongoose_domain_secret:encoded(Name);
        error -> error
    end.

directory(Path, Value) ->
    Name = case mongoose_domain_text:filename(Value) of
        {ok, Text} -> Text;
        error -> Value
    end,
    case is_filename(Name) andalso mongoose_domain_secret:encoded(Name) =/= error andalso own_directory(Name) of
        ok -> Name;
        false ->
            Encoding = file:native_name_encoding(),
            wrong(Path, Name, io_lib:format("the name of a directory, in ~s, as files are named here", [Encoding]));
        {error, Reason} ->
            wrong(Path, Name, ["a directory that is there or can be made: ", file:format_error(Reason)])
    end.

is_filename(Name) when is_binary(Name) -> Name =/= <<>>;
is_filename(Name) -> is_list(Name) andalso Name =/= [] andalso io_lib:char_list(Name).

%% Makes a directory that is not there, for this user alone: the database with the passwords may lie in it.
own_directory(Name) ->
    case filelib:is_dir(Name) orelse filelib:ensure_dir(Name) of
        true -> ok;
        ok ->
            case file:make_dir(Name) of
                ok -> file:change_mode(Name, 8#700);
                {error, eexist} -> filelib:ensure_path(Name);
                Error -> Error
            end;
        Error -> Error
    end.

shown(Value) ->
    mongoose_domain_config_problem:shown(Value).

-spec wrong(path(), term(), unicode:chardata()) -> no_return().
wrong(Path, Shown, Expected) ->
    mongoose_domain_config_problem:wrong(Path, Shown, Expected).
