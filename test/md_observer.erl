%% An observer of domains inside a node. It keeps a map of the domains, built from the batches that it gets.
%%
%%   Observer = md_node:call(Node, md_observer, start, [ready]),
%%   ok = md_node:call(Node, mongoose_domain_observers, sync, [Observer]),
%%   [everything] = md_node:call(Node, md_observer, told, [Observer]).
%%
%% A `ready' observer handles each batch at once; a `holding' one handles a batch only after handle/1. When it receives
%% a change it looks the domain up and records the answer.
-module(md_observer).

-export([start/1, behave/2, handle/1, told/1, changes/1, seen/1, model/1]).

-type behaviour() :: ready | holding.
-type change() :: mongoose_domain_observers:change().

-record(state, {
    behaviour :: behaviour(),
    %% Batches that it has not handled yet, oldest first.
    held = [] :: [reference()],
    told = [] :: [mongoose_domain_observers:news()],
    seen = [] :: [{change(), {ok, binary()} | {error, not_found}}],
    model = #{} :: #{binary() => binary()}
}).

%% @doc Returns when the observer has received everything.
-spec start(behaviour()) -> pid().
start(Behaviour) ->
    Pid = spawn(fun() ->
        ok = mongoose_domain_observers:observe(),
        loop(#state{behaviour = Behaviour})
    end),
    md_wait:until(fun() -> told(Pid) end, [everything]),
    Pid.

%% @doc Sets whether it handles batches at once; `ready' also handles the batches that it holds.
-spec behave(pid(), behaviour()) -> ok.
behave(Pid, Behaviour) ->
    ask(Pid, {behave, Behaviour}).

%% @doc Makes it handle the oldest batch that it holds.
-spec handle(pid()) -> ok.
handle(Pid) ->
    ask(Pid, handle).

%% @doc All batches that it has received, oldest first.
-spec told(pid()) -> [mongoose_domain_observers:news()].
told(Pid) ->
    ask(Pid, told).

%% @doc All changes that it has received, in order.
-spec changes(pid()) -> [change()].
changes(Pid) ->
    lists:append([News || News <- told(Pid), News =/= everything]).

%% @doc All received changes, each with the answer of a lookup at that moment.
-spec seen(pid()) -> [{change(), {ok, binary()} | {error, not_found}}].
seen(Pid) ->
    ask(Pid, seen).

%% @doc The domains that exist according to the received batches.
-spec model(pid()) -> #{binary() => binary()}.
model(Pid) ->
    ask(Pid, model).

ask(Pid, Question) ->
    Monitor = monitor(process, Pid),
    Pid ! {Question, self(), Monitor},
    receive
        {Monitor, Answer} ->
            demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, process, Pid, Reason} -> erlang:error(Reason)
    end.

loop(State) ->
    receive
        {domain_changes, Batch, News} ->
            #state{held = Held, told = Told} = State,
            Next = apply_news(News, State#state{held = Held ++ [Batch], told = [News | Told]}),
            loop(case Next#state.behaviour of
                ready -> handle_held(Next);
                holding -> Next
            end);
        {Question, From, Tag} ->
            {Answer, Next} = answer(Question, State),
            From ! {Tag, Answer},
            loop(Next)
    end.

answer({behave, ready}, State) -> {ok, handle_held(State#state{behaviour = ready})};
answer({behave, holding}, State) -> {ok, State#state{behaviour = holding}};
answer(handle, #state{held = [Oldest | Others]} = State) ->
    {mongoose_domain_observers:handled(Oldest), State#state{held = Others}};
answer(told, #state{told = Told} = State) -> {lists:reverse(Told), State};
answer(seen, #state{seen = Seen} = State) -> {lists:reverse(Seen), State};
answer(model, #state{model = Model} = State) -> {Model, State}.

handle_held(#state{held = Held} = State) ->
    lists:foreach(fun mongoose_domain_observers:handled/1, Held),
    State#state{held = []}.

apply_news(everything, State) ->
    State#state{model = table(0, #{})};
apply_news(Changes, State) ->
    lists:foldl(fun apply_change/2, State, Changes).

apply_change({Fate, HostType, Domain} = Change, #state{seen = Seen, model = Model} = State) ->
    Next = case {Fate, Model} of
        {added, _} -> Model#{Domain => HostType};
        {removed, #{Domain := HostType}} -> maps:remove(Domain, Model);
        {removed, #{}} -> Model
    end,
    State#state{seen = [{Change, mongoose_domain_core:get_host_type(Domain)} | Seen], model = Next}.

table(done, Domains) ->
    Domains;
table(From, Domains) ->
    {Pairs, Next} = mongoose_domain_core:page(all, From, 1000),
    table(Next, maps:merge(Domains, maps:from_list(Pairs))).
