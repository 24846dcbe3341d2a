%% Whether mongoose_domain runs, and the one error where it does not.
%%
%% It runs while its table is open: from the start of mongoose_domain_core, which opens the table, to its orderly stop.
%% A crash of that process leaves the table open. Whether the application was started, or a supervisor of another
%% application started mongoose_domain_sup, makes no difference.
%%
%% Before and after, every public function that needs the table or a process fails with
%%
%%   error:{not_running, mongoose_domain}
%%
%% The others say what they answer then: those that ask whether something runs answer that it does not.
-module(mongoose_domain_running).

-export([is_open/0, check/0, fail/0]).
-export([call/2, call/3, cast/2, process/1, registry/1]).

-define(ERROR, {not_running, mongoose_domain}).

%% @doc Whether the table is open. Calls no process and takes no lock.
-spec is_open() -> boolean().
is_open() ->
    mongoose_domain_nif:is_open().

%% @doc Fails unless the table is open.
-spec check() -> ok.
check() ->
    case is_open() of
        true -> ok;
        false -> fail()
    end.

%% @doc Fails with the error.
-spec fail() -> no_return().
fail() ->
    error(?ERROR).

%% @doc As gen_server:call/2, to a process of this application.
-spec call(atom(), term()) -> term().
call(Server, Request) ->
    call(Server, Request, 5000).

%% @doc As gen_server:call/3. A process that is just being restarted is no sign that nothing runs: the call exits.
-spec call(atom(), term(), timeout()) -> term().
call(Server, Request, Timeout) ->
    try
        gen_server:call(Server, Request, Timeout)
    catch
        exit:{noproc, _} = Exit ->
            _ = is_supervised() andalso exit(Exit),
            fail()
    end.

%% @doc As gen_server:cast/2, to a process of this application.
-spec cast(atom(), term()) -> ok.
cast(Server, Message) ->
    _ = whereis(Server) =/= undefined orelse is_supervised() orelse fail(),
    gen_server:cast(Server, Message).

%% @doc The process of this name. Fails where there is none.
-spec process(atom()) -> pid().
process(Name) ->
    case whereis(Name) of
        undefined -> fail();
        Pid -> Pid
    end.

%% @doc The name of a table that the supervisor owns. Fails where it is not there.
-spec registry(atom()) -> atom().
registry(Table) ->
    case ets:whereis(Table) of
        undefined -> fail();
        _Id -> Table
    end.

%% Whether a process that is not there will be started again.
is_supervised() ->
    is_open() andalso whereis(mongoose_domain_sup) =/= undefined.
