%% Notifies processes of higher layers of what happens to the table as a whole.
%%
%% A process that subscribes gets a message `{table_event, Event}' for each of
%%
%%   opened                                       the table was opened: it is empty but for the static domains
%%   {pattern_unregistered, HostType, Pattern}    the subdomains of this pattern are gone
%%
%% until it ends. mongoose_domain_observers notifies of single domains.
-module(mongoose_domain_table_events).

-export([subscribe/0, publish/1, create_registry/0]).

-export_type([event/0]).

-define(REGISTRY, ?MODULE).

-type event() :: opened | {pattern_unregistered, HostType :: binary(), mongoose_subdomain_utils:subdomain_pattern()}.

%% @doc Subscribes the calling process.
-spec subscribe() -> ok.
subscribe() ->
    true = ets:insert(mongoose_domain_running:registry(?REGISTRY), {self()}),
    ok.

%% @private Sends the event to all subscribers. There are none where mongoose_domain_core was started by hand.
-spec publish(event()) -> ok.
publish(Event) ->
    Subscribers = case ets:whereis(?REGISTRY) of
        undefined -> [];
        Registry -> ets:tab2list(Registry)
    end,
    lists:foreach(fun({Pid}) -> publish(Event, Pid) end, Subscribers).

publish(Event, Pid) ->
    case is_process_alive(Pid) of
        true ->
            Pid ! {table_event, Event},
            ok;
        false ->
            true = ets:delete(?REGISTRY, Pid),
            ok
    end.

%% @private The supervisor owns the registry: subscribers outlive a crash of the process that publishes.
-spec create_registry() -> ok.
create_registry() ->
    _ = mongoose_domain_tables:create(?REGISTRY, []),
    ok.
