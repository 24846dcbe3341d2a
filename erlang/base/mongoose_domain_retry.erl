%% Growing pauses before something is started again, and reports of the reason.
%%
%% For a process that lives on while what it owns cannot be started, or ends again and again:
%%
%%   case start() of
%%       {ok, Thing} -> mongoose_domain_retry:started(Retry);
%%       {error, Problem} -> mongoose_domain_retry:wrong(Problem, Retry)     % a `retry' comes to the caller
%%   end
%%
%% The first pause is a tenth of a second, each is twice as long as the one before, and ten seconds is the
%% longest. After a life of more than ten seconds the pauses begin at a tenth of a second again: a short life is no proof
%% of health. A configuration that is wrong in the same way at every try is logged once.
-module(mongoose_domain_retry).

-export([new/0, started/1, wrong/2, ended/1]).

-export_type([t/0]).

-include("mongoose_domain_log.hrl").

%% In milliseconds.
-define(FIRST_PAUSE, 100).
-define(LONGEST_PAUSE, 10000).

-record(retry, {
    pause = ?FIRST_PAUSE :: pos_integer(),
    %% The monotonic time of the last start, in milliseconds.
    started :: integer() | undefined,
    %% The problem that was logged and is not over.
    logged :: mongoose_domain_config:problem() | undefined
}).

-opaque t() :: #retry{}.

%% @doc Before the first try.
-spec new() -> t().
new() ->
    #retry{}.

%% @doc It was started; a problem that was logged is over, which is logged too.
-spec started(t()) -> t().
started(#retry{logged = Logged} = Retry) ->
    _ = [?LOG_NOTICE(#{what => configuration_right_again, application => mongoose_domain, key => Key})
         || #{key := Key} <- [Logged]],
    Retry#retry{started = now_ms(), logged = undefined}.

%% @doc It could not be started with this configuration: sends `retry' to the caller after a pause.
-spec wrong(mongoose_domain_config:problem(), t()) -> t().
wrong(Problem, #retry{logged = Problem} = Retry) ->
    {_Pause, Later} = pause(Retry),
    Later;
wrong(Problem, Retry) ->
    {Pause, Later} = pause(Retry),
    ?LOG_ERROR(Problem#{what => wrong_configuration, application => mongoose_domain, retry_after => Pause}),
    Later#retry{logged = Problem}.

%% @doc What was started has ended: sends `retry' to the caller after that many milliseconds.
-spec ended(t()) -> {Pause :: pos_integer(), t()}.
ended(#retry{started = Started} = Retry) ->
    case is_integer(Started) andalso now_ms() - Started > ?LONGEST_PAUSE of
        true -> pause(Retry#retry{pause = ?FIRST_PAUSE});
        false -> pause(Retry)
    end.

pause(#retry{pause = Pause} = Retry) ->
    _ = erlang:send_after(Pause, self(), retry),
    {Pause, Retry#retry{pause = min(Pause * 2, ?LONGEST_PAUSE), started = undefined}}.

now_ms() ->
    erlang:monotonic_time(millisecond).
