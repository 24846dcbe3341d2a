%% The writes during which lookups are timed.
%%
%%   quiet     nothing
%%   loading   all domains: PostgreSQL sends all rows, which are inserted into an empty table
%%   changing  10,000 changes a second: every 10 ms psql adds 50 domains and removes 50, each with its
%%             event, in one transaction that ends with NOTIFY
%%   pass      all domains again, while the table holds them: on our side, a comparison with the database
%%
%% On our side, the application itself writes: it is started, its follower follows what psql writes, converge/0 is
%% called. The same happens during the empty loop, which shows how such writes load the machine.
%%
%% The baseline gets the same writes at the same rate with less work. Its owner (bench_ets_owner) receives complete rows
%% and changes. PostgreSQL has the same work: psql reads all rows while the table is filled, and writes the same
%% changes. Only the events are not read back on this side.
-module(bench_writes).

-export([open/4, run/4]).

-export_type([phase/0, t/0]).

-type phase() :: quiet | loading | changing | pass.
-opaque t() :: #{
    domains := pos_integer(), milliseconds := pos_integer(), session := bench_psql:session(), owner := pid()
}.

-define(TICK, 10).
-define(HALF, 50).

%% @doc Prepares all phases: a psql, the baseline's filled table, and the application, which follows the database.
%% Phases without an end of their own last for this many milliseconds.
-spec open(pos_integer(), pos_integer(), string(), file:filename()) -> t().
open(Domains, Milliseconds, Url, Psql) ->
    Owner = bench_ets_owner:start(),
    ok = bench_ets_owner:fill(Owner, Domains),
    ok = bench_node:start(),
    #{domains => Domains, milliseconds => Milliseconds, session => bench_psql:open(Psql, Url), owner => Owner}.

%% @doc Calls Begin when the writes begin, and returns their number and duration when they are over.
-spec run(phase(), bench_loop:side(), t(), Begin :: fun(() -> ok)) ->
    {Writes :: non_neg_integer(), Seconds :: float()}.
run(quiet, _Side, #{milliseconds := Milliseconds}, Begin) ->
    timed(0, Begin, fun() -> timer:sleep(Milliseconds) end);
run(loading, ets, #{domains := Domains, owner := Owner} = Writes, Begin) ->
    ok = bench_ets_owner:empty(Owner),
    fill(Domains, Writes, Begin);
run(loading, _Ours, #{domains := Domains}, Begin) ->
    ok = bench_node:stop(),
    %% Before the table is open, a lookup fails.
    {ok, _} = application:ensure_all_started(mongoose_domain),
    timed(Domains, Begin, fun bench_node:await_following/0);
run(pass, ets, #{domains := Domains} = Writes, Begin) ->
    fill(Domains, Writes, Begin);
run(pass, _Ours, #{domains := Domains}, Begin) ->
    timed(Domains, Begin, fun() -> {ok, _} = service_domain_db:converge(), ok end);
run(changing, ets, #{owner := Owner} = Writes, Begin) ->
    ok = bench_node:stop(),
    Result = change(Writes, Begin, fun(Added, Removed) -> bench_ets_owner:change(Owner, Added, Removed) end, fun() ->
        bench_ets_owner:sync(Owner)
    end),
    ok = bench_node:start(),
    Result;
run(changing, _Ours, Writes, Begin) ->
    change(Writes, Begin, fun(_Added, _Removed) -> ok end, fun() -> service_domain_db:sync_local(infinity) end).

timed(Count, Begin, Write) ->
    ok = Begin(),
    {Microseconds, ok} = timer:tc(Write),
    {Count, Microseconds / 1000000}.

fill(Domains, #{session := Session, owner := Owner}, Begin) ->
    timed(Domains, Begin, fun() ->
        ok = bench_psql:tell(Session, bench_psql:copy(bench_psql:enabled())),
        ok = bench_ets_owner:fill(Owner, Domains),
        _ = bench_psql:told(Session),
        ok
    end).

%% The last step removes the domains that were added before it.
change(#{domains := Domains, milliseconds := Milliseconds, session := Session}, Begin, Apply, Sync) ->
    Steps = Milliseconds div ?TICK,
    Write = fun(Step) ->
        Added = [Name || Step < Steps, Name <- names(Domains, Step)],
        Removed = [Name || Step > 0, Name <- names(Domains, Step - 1)],
        ok = bench_psql:tell(Session, transaction(Added, Removed)),
        ok = Apply(Added, Removed)
    end,
    {Steps, Seconds} = timed(Steps, Begin, fun() ->
        Start = erlang:monotonic_time(millisecond),
        lists:foreach(fun(Step) ->
            wait_until(Start + Step * ?TICK),
            Write(Step)
        end, lists:seq(0, Steps)),
        %% Waits until psql has executed all lines and the table shows the changes.
        lists:foreach(fun(_Step) -> bench_psql:told(Session) end, lists:seq(0, Steps)),
        Sync()
    end),
    {2 * ?HALF * Steps, Seconds}.

wait_until(Time) ->
    timer:sleep(max(0, Time - erlang:monotonic_time(millisecond))).

names(Domains, Step) ->
    Bases = bench_names:bases(),
    [bench_names:name(Domains + ?HALF * Step + Number, Bases) || Number <- lists:seq(0, ?HALF - 1)].

transaction(Added, Removed) ->
    Add = ["INSERT INTO domain_settings (domain, host_type) VALUES ", values(Added, ", 'type1'"), " \\; "],
    Listed = lists:join($,, [[$', Name, $'] || Name <- Removed]),
    Remove = ["DELETE FROM domain_settings WHERE domain IN (", Listed, ") \\; "],
    ["BEGIN \\; ", [Add || Added =/= []], [Remove || Removed =/= []],
     "INSERT INTO domain_events (domain) VALUES ", values(Added ++ Removed, ""),
     " \\; NOTIFY mongoose_domain_events \\; COMMIT;"].

values(Names, More) ->
    lists:join($,, [["('", Name, "'", More, ")"] || Name <- Names]).
