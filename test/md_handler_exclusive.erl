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

-export([register/2, remove_domain/2]).
-export([read/1]).

%% How long a call lasts, in milliseconds: long enough for a second call to begin meanwhile if that is possible.
-define(WORK, 5).

%% @doc Registers the handler on this node with this file.
-spec register(binary(), file:filename()) -> ok | {error, already_registered}.
register(HostType, File) ->
    persistent_term:put(?MODULE, File),
    mongoose_domain_removal:register_handler(HostType, ?MODULE, 50).

-spec remove_domain(binary(), binary()) -> ok.
remove_domain(_HostType, Domain) ->
    Worker = self(),
    {Recorder, Monitor} = spawn_monitor(fun() -> record(Worker, Domain, persistent_term:get(?MODULE)) end),
    ok = await(begun, Recorder, Monitor),
    timer:sleep(?WORK),
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
    {ok, Text} = file:read_file(File),
    Lines = binary:split(Text, <<"\n">>, [global, trim]),
    Records = lists:foldl(fun(Line, Domains) ->
        [What, Domain, Who] = binary:split(Line, <<" ">>, [global]),
        Domains#{Domain => step(What, Who, Line, maps:get(Domain, Domains, {nobody, 0, []}))}
    end, #{}, Lines),
    maps:map(fun(_Domain, {_AtWork, Finished, Overlaps}) -> {Finished, lists:reverse(Overlaps)} end, Records).

step(<<"begin">>, Who, _Line, {nobody, Finished, Overlaps}) -> {Who, Finished, Overlaps};
step(<<"end">>, Who, _Line, {Who, Finished, Overlaps}) -> {nobody, Finished + 1, Overlaps};
step(<<"killed">>, Who, _Line, {Who, Finished, Overlaps}) -> {nobody, Finished, Overlaps};
step(_What, _Who, Line, {AtWork, Finished, Overlaps}) -> {AtWork, Finished, [Line | Overlaps]}.
