%% A handler of removals that writes down when it works, so that two at work on one domain are found, wherever
%% they run.
%%
%% All nodes write into one file, and the system keeps the order of what is appended to it. A process beside each
%% call writes, so that the end of a call that is killed is written, too:
%%
%%   ok = md_node:call(Node, md_handler_exclusive, register, [<<"type1">>, File]), ...,
%%   #{<<"a.example">> := {Finished, []}} = md_handler_exclusive:read(File).
-module(md_handler_exclusive).
-behaviour(mongoose_domain_removal).

-export([register/2, remove_domain/2]).
-export([read/1]).

%% How long a call lasts, in milliseconds: long enough for another one to begin meanwhile, if that can be.
-define(WORK, 5).

%% @doc Registers it on this node, to write into this file.
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

%% @doc For each domain: how many calls ran to their end, and the lines at which a call began while another was at
%% work, or ended that was not.
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
