%% Processes inside a node that add domains at the same time, and the answers that they get.
%%
%%   Adders = md_node:call(Node, md_adders, start, [<<"type1">>, Domains]),
%%   #{<<"a.example">> := {ok, _}} = md_node:call(Node, md_adders, answers, [Adders]).
-module(md_adders).

-export([start/2, answers/1, add/2]).
-export([start_noting/3]).
-export([use_the_node/3]).

-export_type([t/0, answers/0]).

-type t() :: pid().
-type answers() :: #{binary() => term()}.

%% @doc Starts one process for each domain. When this returns, each of them is in its call or past it.
-spec start(binary(), [binary()]) -> t().
start(HostType, Domains) ->
    Caller = self(),
    Keeper = spawn(fun() ->
        Self = self(),
        Adders = [spawn_monitor(fun() -> Self ! {answer, Domain, insert(HostType, Domain)} end) || Domain <- Domains],
        _ = [wait_until_calling(Pid) || {Pid, _} <- Adders],
        Caller ! {self(), started},
        keep(#{})
    end),
    receive {Keeper, started} -> Keeper end.

insert(HostType, Domain) ->
    mongoose_domain_api:insert_domain(Domain, HostType).

%% Returns when the process waits for the answer to its request or has ended.
wait_until_calling(Pid) ->
    md_wait:until(fun() ->
        case process_info(Pid, [current_function, status]) of
            [{current_function, {gen, do_call, 4}}, {status, waiting}] -> true;
            undefined -> true;
            Other -> Other
        end
    end).

keep(Answers) ->
    receive
        {answer, Domain, Answer} ->
            keep(Answers#{Domain => Answer});
        {'DOWN', _, process, _, normal} ->
            keep(Answers);
        {'DOWN', _, process, Pid, Reason} ->
            keep(Answers#{Pid => {died, Reason}});
        {answers, From, Tag} ->
            From ! {Tag, Answers},
            keep(Answers)
    end.

%% @doc The answers so far: processes that still wait are left out.
-spec answers(t()) -> answers().
answers(Keeper) ->
    Tag = make_ref(),
    Keeper ! {answers, self(), Tag},
    receive {Tag, Answers} -> Answers end.

%% @doc Adds these domains at the same time; returns all answers when the last one has come.
-spec add(binary(), [binary()]) -> answers().
add(HostType, Domains) ->
    Keeper = start(HostType, Domains),
    md_wait:until(fun() -> map_size(answers(Keeper)) end, length(Domains)),
    answers(Keeper).

%% @doc Starts one process for each list of domains. It adds the domains one after the other and writes each
%% confirmed domain to the file before it adds the next one.
-spec start_noting(binary(), file:filename(), [[binary()]]) -> ok.
start_noting(HostType, File, Lists) ->
    lists:foreach(fun(Domains) ->
        spawn(fun() ->
            {ok, Note} = file:open(File, [append, raw, binary]),
            lists:foreach(fun(Domain) ->
                {ok, #{domain := Domain}} = insert(HostType, Domain),
                ok = file:write(Note, <<Domain/binary, "\n">>)
            end, Domains)
        end)
    end, Lists).

%% @doc Looks this domain up and reads a small file that many times; returns how many lookups and reads succeeded.
-spec use_the_node(binary(), Lookups :: pos_integer(), Reads :: pos_integer()) ->
    {Found :: non_neg_integer(), Read :: non_neg_integer()}.
use_the_node(Domain, Lookups, Reads) ->
    File = code:which(?MODULE),
    Found = [ok || _ <- lists:seq(1, Lookups), {ok, _} <- [mongoose_domain_api:get_host_type(Domain)]],
    Read = [ok || _ <- lists:seq(1, Reads), {ok, _} <- [file:read_file(File)]],
    {length(Found), length(Read)}.
