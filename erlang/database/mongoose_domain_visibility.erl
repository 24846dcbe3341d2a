%% Waits until this node's table shows a change that was committed.
%%
%% Most changes of this node are visible at once: the worker that has committed one puts it into the table. The others are
%% visible when the follower has read their events.
%%
%% The change is durable, so a follower that does not answer in time is worth a warning and no error. One that answers and
%% does not find the event of the change follows another database: then the change is of no use on this node.
-module(mongoose_domain_visibility).

-export([visible/2, wait/1]).

-export_type([event/0]).

-include("../base/mongoose_domain_log.hrl").

%% The pause before the table is checked again, in milliseconds.
-define(PAUSE, 50).

%% The id of an event, or `visible' where the table shows the change already.
-type event() :: integer() | visible.
-type failure() :: {db_error, binary()}.

%% @doc The result, once the change is visible.
-spec visible(event() | undefined, Result) -> Result | failure().
visible(Event, Result) ->
    case wait(Event) of
        ok -> Result;
        Error -> Error
    end.

%% @doc Returns when the change is visible, or `visibility_timeout' has passed. Without an event, waits for all that was
%% committed before the call.
-spec wait(event() | undefined) -> ok | failure().
wait(visible) ->
    notify_nodes();
wait(Event) ->
    ok = notify_nodes(),
    Timeout = mongoose_domain_config:visibility_timeout(),
    wait(Event, Timeout, erlang:monotonic_time(millisecond) + Timeout).

%% Not every database notifies.
notify_nodes() ->
    try
        service_domain_db:force_check_for_updates()
    catch
        error:{not_running, mongoose_domain} -> ok % which is reported to a caller that waits
    end.

wait(Event, Timeout, End) ->
    Left = max(0, End - erlang:monotonic_time(millisecond)),
    try sync(Event, Left) of
        ok -> ok;
        _AwayOrStoppedOrMissing when Left > ?PAUSE ->
            timer:sleep(?PAUSE),
            wait(Event, Timeout, End);
        {error, Reason} -> not_visible(Timeout, Reason);
        missing -> not_followed(Event, Timeout)
    catch
        exit:{timeout, _} -> not_visible(Timeout, <<"the follower did not answer">>);
        error:{not_running, mongoose_domain} -> not_visible(Timeout, <<"mongoose_domain was stopped">>)
    end.

sync(undefined, Timeout) -> service_domain_db:sync_local(Timeout);
sync(Event, Timeout) -> service_domain_db:sync_event(Event, Timeout).

not_visible(Timeout, Reason) ->
    ?LOG_WARNING(#{what => domain_change_not_visible_yet, waited => Timeout, reason => Reason}).

not_followed(Event, Timeout) ->
    ?LOG_ERROR(#{what => domain_change_not_followed, event => Event, waited => Timeout}),
    ok = mongoose_domain_operations:reconnect(),
    {db_error, <<"Database error: the change was made, but not in the database that this node follows">>}.
