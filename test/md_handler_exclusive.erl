%% A removal handler that records when it runs, so that a test finds two that run for one domain at the same time, on
%% any nodes.
%%
%% All nodes append to one file, and the operating system keeps the order of the lines. Another process writes the lines
%% of each call, so that the end of a killed call is recorded, too:
%%
%%   ok = md_node:call(Node, md_handler_exclusive, register, [<<"type1">>, File]), ...,
%%   #{<<"a.example">> := {Finished, []}} = md_handler_exclusive:read(File).
-module(md_handler_exclusive).
-behaviour(mongoose_domain_removal).

-export([register/2, hold/0, remove_domain/2]).
-export([read/1, vm_was_killed/2]).

%% How long a call lasts, in milliseconds: long enough for a second call to begin meanwhile if that is possible.
-define(WORK, 5).

%% @doc Registers the handler on this node with this file.
-spec register(binary(), file:filename()) -> ok | {error, already_registered}.
register(HostType, File) ->
    persistent_term:put(?MODULE, File),
    mongoose_domain_removal:register_handler(HostType, ?MODULE, 50).

%% @doc From now on a call on this node lasts until it is killed.
-spec hold() -> ok.
hold() ->
    persistent_term:put({?MODULE, work}, infinity).

-spec remove_domain(binary(), binary()) -> ok.
remove_domain(_HostType, Domain) ->
    Worker = self(),
    {Recorder, Monitor} = spawn_monitor(fun() -> record(Worker, Domain, persistent_term:get(?MODULE)) end),
    ok = await(begun, Recorder, Monitor),
    timer:sleep(persistent_term:get({?MODULE, work}, ?WORK)),
    Recorder ! {finished, Worker},
    ok = await(ended, Recorder, Monitor),
    true = demonitor(Monitor, [flush]),
    ok.

await(What, Recorder, Monitor) ->
    receive
        {What, Recorder} -> ok;
        {'DOWN', Monitor, process, Recorder, Reason} -> {error, Reason}
    end.

record(Worker, Domain, File) ->
    Monitor = monitor(process, Worker),
    {ok, Device} = file:open(File, [append, raw, binary]),
    Write = fun(What) -> ok = file:write(Device, [What, " ", Domain, " ", os:getpid(), pid_to_list(Worker), "\n"]) end,
    Write("begin"),
    Worker ! {begun, self()},
    receive
        {finished, Worker} -> Write("end");
        {'DOWN', Monitor, process, Worker, _Reason} -> Write("killed")
    end,
    Worker ! {ended, self()}.

%% @doc For each domain: how many calls finished, and the lines at which a call began while another one ran, or ended
%% without having begun.
-spec read(file:filename()) -> #{binary() => {Finished :: non_neg_integer(), Overlaps :: [binary()]}}.
read(File) ->
    maps:map(fun(_Domain, {_AtWork, Finished, Overlaps}) -> {Finished, lists:reverse(Overlaps)} end, records(File)).

%% @doc Records the end of the calls of a VM that was killed just now, which could not do that.
-spec vm_was_killed(file:filename(), OsPid :: string()) -> ok.
vm_was_killed(File, OsPid) ->
    Ended = [["killed ", Domain, " ", Who, "\n"] || {Domain, {Who, _, _}} <- maps:to_list(records(File)), is_binary(Who),
                                                    lists:prefix(OsPid ++ "<", binary_to_list(Who))],
    file:write_file(File, Ended, [append]).

records(File) ->
    {ok, Text} = file:read_file(File),
    lists:foldl(fun(Line, Domains) ->
        [What, Domain, Who] = binary:split(Line, <<" ">>, [global]),
        Domains#{Domain => step(What, Who, Line, maps:get(Domain, Domains, {nobody, 0, []}))}
    end, #{}, binary:split(Text, <<"\n">>, [global, trim])).

step(<<"begin">>, Who, _Line, {nobody, Finished, Overlaps}) -> {Who, Finished, Overlaps};
step(<<"end">>, Who, _Line, {Who, Finished, Overlaps}) -> {nobody, Finished + 1, Overlaps};
step(<<"killed">>, Who, _Line, {Who, Finished, Overlaps}) -> {nobody, Finished, Overlaps};
step(_What, _Who, Line, {AtWork, Finished, Overlaps}) -> {AtWork, Finished, [Line | Overlaps]}.
