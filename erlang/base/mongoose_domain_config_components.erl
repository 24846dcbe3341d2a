%% Checks the keys of the configuration that name modules of the user's: services, modules, handlers of removals, and
%% handlers of subdomains.
%%
%%   {services, #{my_mailer => #{port => 25}}}
%%   {modules, #{all => #{my_archive => #{}}, <<"type2">> => #{my_archive => #{days => 30}}}}
%%   {removal_handlers, #{all => [my_index, {my_files, 20}, {await, my_plugin}]}}
%%   {subdomains, #{<<"type1">> => [{"muc.@HOST@", {my_rooms, #{}}}]}}
%%
%% `all' applies to each host type that has no entry of its own; such an entry replaces it.
%%
%% Options may hold secrets: no error shows them.
-module(mongoose_domain_config_components).

-export([check/2, check_host_types/1]).

-export_type([options/0, removal_handler/0, subdomain/0]).

-type options() :: #{module() => map()}.
%% A module that is called, or one that registers itself and is waited for.
-type removal_handler() :: {module(), Priority :: integer()} | {await, module()}.
-type subdomain() :: {mongoose_subdomain_utils:subdomain_pattern(), mongoose_domain_packet_handler:handler()}.

%% The priority of a removal handler that is named without one.
-define(PRIORITY, 50).

-define(NOT_SHOWN, (mongoose_domain_config_problem:not_shown())).

%% @doc The value, checked. Throws `{wrong, Problem}' for a wrong one.
-spec check(services | modules | removal_handlers | subdomains, term()) -> map().
check(services, #{service_domain_db := _}) ->
    wrong([services, service_domain_db], ?NOT_SHOWN, "no such key here: service_domain_db is a key beside services");
check(services, #{} = Services) ->
    check_options([services], Services);
check(services, _Other) ->
    wrong(services, ?NOT_SHOWN, "a map of services: #{Service => Options}");
check(modules, #{} = Modules) ->
    for_each_key(modules, Modules, fun check_modules/2);
check(modules, _Other) ->
    wrong(modules, ?NOT_SHOWN, "a map: #{all => #{Module => Options}, HostType => #{Module => Options}}");
check(removal_handlers, #{} = Handlers) ->
    for_each_key(removal_handlers, Handlers, fun(HostType, List) ->
        check_list([removal_handlers, HostType], List, fun check_handler/2)
    end);
check(removal_handlers, _Other) ->
    wrong(removal_handlers, ?NOT_SHOWN, "a map: #{all => [Module], HostType => [{Module, Priority}, {await, Module}]}");
check(subdomains, #{} = Subdomains) ->
    for_each_key(subdomains, Subdomains, fun(HostType, List) ->
        check_list([subdomains, HostType], List, fun check_subdomain/2)
    end);
check(subdomains, _Other) ->
    wrong(subdomains, ?NOT_SHOWN, "a map: #{all => [{Template, PacketHandler}], HostType => [{Template, PacketHandler}]}").

%% A map whose keys are `all' and host types.
for_each_key(Key, Map, Check) ->
    Named = [{host_type(Key, HostType), Value} || {HostType, Value} <- maps:to_list(Map)],
    maps:size(maps:from_list(Named)) =:= length(Named) orelse wrong(Key, maps:keys(Map), "each host type once"),
    maps:from_list([{HostType, Check(HostType, Value)} || {HostType, Value} <- Named]).

%% The entries, none of which has the same name as another.
check_list(Key, List, Check) when is_list(List), length(List) >= 0 ->
    Entries = [Check(Key, Entry) || Entry <- List],
    Names = lists:map(fun({await, Module}) -> Module; ({Name, _}) -> Name end, Entries),
    [wrong(Key, Twice, "each of them once") || Twice <- lists:sublist(Names -- lists:usort(Names), 1)],
    Entries;
check_list(Key, _Other, _Check) ->
    wrong(Key, ?NOT_SHOWN, "a list").

check_handler(_Key, {await, Module}) when is_atom(Module) ->
    {await, Module}; % its application may be started later
check_handler(Key, {Module, Priority}) when is_atom(Module), is_integer(Priority) ->
    code:ensure_loaded(Module) =:= {module, Module} andalso erlang:function_exported(Module, remove_domain, 2)
        orelse wrong(Key, Module, "a module that can be loaded and has remove_domain/2; {await, Module} for one that "
                                  "comes later and registers itself"),
    {Module, Priority};
check_handler(Key, Module) when is_atom(Module) ->
    check_handler(Key, {Module, ?PRIORITY});
check_handler(Key, _Other) ->
    wrong(Key, ?NOT_SHOWN, "Module, {Module, Priority} with an integer, or {await, Module}").

check_subdomain(Key, {Template, PacketHandler}) ->
    case mongoose_domain_text:read(Template) of
        {ok, Text} -> {mongoose_subdomain_utils:make_subdomain_pattern(Text), PacketHandler};
        error -> wrong(Key, ?NOT_SHOWN, "a template that is a text, such as \"muc.@HOST@\"")
    end;
check_subdomain(Key, _Other) ->
    wrong(Key, ?NOT_SHOWN, "{Template, PacketHandler}").

%% A text may be a binary, a string or an atom.
host_type(_Key, all) ->
    all;
host_type(Key, HostType) ->
    case mongoose_domain_text:read(HostType) of
        {ok, Text} -> Text;
        error -> wrong(Key, HostType, "the key all, or a host type")
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

%% @doc Throws for a host type that neither `hosts' nor `host_types' names.
-spec check_host_types(mongoose_domain_config:t()) -> ok.
check_host_types(#{hosts := Pairs, host_types := HostTypes} = Config) ->
    Known = maps:from_keys([HostType || {_Domain, HostType} <- Pairs] ++ HostTypes, known),
    lists:foreach(fun({Key, HostType}) ->
        is_map_key(HostType, Known) orelse wrong(Key, HostType, "all, or a host type that hosts or host_types name")
    end, [{Key, HostType} || Key <- [modules, removal_handlers, subdomains],
                             HostType <- lists:delete(all, maps:keys(map_get(Key, Config)))]).

-spec wrong(mongoose_domain_config_problem:path(), term(), string()) -> no_return().
wrong(Key, Value, Expected) ->
    mongoose_domain_config_problem:wrong(Key, Value, Expected).
