%% The services and modules that the application environment names, and their options:
%%
%%   {services, #{my_mailer => #{port => 25}}}
%%   {modules, #{all => #{my_archive => #{}}, <<"type2">> => #{my_archive => #{days => 30}}}}
%%
%% `all' is for each host type that has no entry of its own; an entry of its own replaces it. The service that follows
%% the database has a key of its own, service_domain_db, and counts as configured when that is there.
%%
%% Options may hold secrets: no error shows them.
-module(mongoose_domain_configured).

-export([services/0, modules/1, host_types/0, is_host_type/1]).
-export([check/2, check_host_types/1]).

-type options() :: #{module() => map()}.

-define(NOT_SHOWN, '(not shown, it may hold a password)').

%% @doc The services, each with its options. That of the database is without its URL, which stays where it is. Fails
%% where the environment has turned wrong.
-spec services() -> options().
services() ->
    Others = checked(services),
    case application:get_env(mongoose_domain, service_domain_db, disabled) of
        #{} = Options -> Others#{service_domain_db => maps:remove(database, Options)};
        _Disabled -> Others
    end.

%% @doc The modules of a host type, each with its options. Fails where the environment has turned wrong.
-spec modules(mongoose_domain_core:host_type()) -> options().
modules(HostType) ->
    case checked(modules) of
        #{HostType := Own} -> Own;
        #{all := Modules} -> Modules;
        #{} -> #{}
    end.

checked(Key) ->
    try
        check(Key, mongoose_domain_config:given(Key, #{}))
    catch
        throw:{wrong, Problem} -> erlang:error({wrong_configuration, Problem})
    end.

%% @doc The host types of this node's table: those of static domains first, each once.
-spec host_types() -> [mongoose_domain_core:host_type()].
host_types() ->
    [Pairs, HostTypes] = mongoose_domain_core:get_start_args(),
    unique([HostType || {_Domain, HostType} <- Pairs, is_binary(HostType)] ++ [T || T <- HostTypes, is_binary(T)]).

%% There may be as many as there are static domains.
unique(List) ->
    {Unique, _Seen} = lists:foldl(fun
        (Item, {Kept, Seen}) when is_map_key(Item, Seen) -> {Kept, Seen};
        (Item, {Kept, Seen}) -> {[Item | Kept], Seen#{Item => seen}}
    end, {[], #{}}, List),
    lists:reverse(Unique).

%% @doc Whether it is one of them.
-spec is_host_type(mongoose_domain_core:host_type()) -> boolean().
is_host_type(HostType) ->
    [Pairs, HostTypes] = mongoose_domain_core:get_start_args(),
    lists:member(HostType, HostTypes) orelse lists:keymember(HostType, 2, Pairs).

%% @private For mongoose_domain_config: the value, or a throw that says what is wrong with it.
-spec check(services | modules, term()) -> map().
check(services, #{service_domain_db := _}) ->
    wrong([services, service_domain_db], ?NOT_SHOWN, "no such key here: service_domain_db is a key beside services");
check(services, #{} = Services) ->
    check_options([services], Services);
check(services, _Other) ->
    wrong(services, ?NOT_SHOWN, "a map of services: #{Service => Options}");
check(modules, #{} = Modules) ->
    Named = [{host_type(HostType), Options} || {HostType, Options} <- maps:to_list(Modules)],
    maps:size(maps:from_list(Named)) =:= length(Named)
        orelse wrong(modules, maps:keys(Modules), "each host type once"),
    maps:from_list([{HostType, check_modules(HostType, Options)} || {HostType, Options} <- Named]);
check(modules, _Other) ->
    wrong(modules, ?NOT_SHOWN, "a map: #{all => #{Module => Options}, HostType => #{Module => Options}}").

%% A text may be a binary, a string or an atom.
host_type(all) ->
    all;
host_type(HostType) ->
    case mongoose_domain_text:read(HostType) of
        {ok, Text} -> Text;
        error -> wrong(modules, HostType, "the key all, or a host type")
    end.

check_modules(HostType, #{} = Options) ->
    check_options([modules, HostType], Options);
check_modules(HostType, _Other) ->
    wrong([modules, HostType], ?NOT_SHOWN, "a map of modules: #{Module => Options}").

check_options(Key, Options) ->
    maps:map(fun
        (Name, #{} = Value) when is_atom(Name) -> Value;
        (Name, _Value) when is_atom(Name) -> wrong(Key ++ [Name], ?NOT_SHOWN, "a map of options");
        (Name, _Value) -> wrong(Key, Name, "the name of an Erlang module, an atom")
    end, Options).

%% @private For mongoose_domain_config: modules are for host types that this node has.
-spec check_host_types(mongoose_domain_config:t()) -> ok.
check_host_types(#{hosts := Pairs, host_types := HostTypes, modules := Modules}) ->
    Known = maps:from_keys([HostType || {_Domain, HostType} <- Pairs] ++ HostTypes, known),
    lists:foreach(fun(HostType) ->
        is_map_key(HostType, Known)
            orelse wrong(modules, HostType, "all, or a host type that hosts or host_types name")
    end, lists:delete(all, maps:keys(Modules))).

-spec wrong(atom() | [atom() | binary()], term(), string()) -> no_return().
wrong(Key, Value, Expected) ->
    throw({wrong, #{key => Key, value => Value, expected => list_to_binary(Expected)}}).
