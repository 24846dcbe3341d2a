%% A PropEr model of nodes that share a database: a map from each domain to the host type and the status of its row.
%%
%% Random operations run on random nodes, one after another. Each answer equals the model's, and after a success the
%% table of that node shows the change. In the end every table and the database equal the model. After a refusal, which
%% changes nothing, a table may still be behind.
%%
%% PropEr's functions are called by their full names: see md_core_model.
-module(md_nodes_model).
-behaviour(proper_statem).

-import(proper_types, [frequency/1, integer/2, oneof/1]).

-export([property/3]).
-export([initial_state/0, command/1, precondition/2, postcondition/3, next_state/3]).
-export([insert/4, delete/4, enable/3, disable/3]).

-define(DOMAINS, [<<"a">>, <<"b">>, <<"c">>]).
-define(HOST_TYPES, [<<"type1">>, <<"type2">>]).

-record(cluster, {nodes :: [md_node:t()], sequence :: pos_integer()}).

%% @doc Three nodes that know both host types behave as the model does, after any sequence of at most that many
%% operations. Each sequence uses new domains.
-spec property([md_node:t()], md_client:t(), pos_integer()) -> proper:test().
property(Nodes, Client, Longest) ->
    proper:forall(proper_types:resize(Longest, proper_statem:commands(?MODULE)), fun(Commands) ->
        Cluster = #cluster{nodes = Nodes, sequence = erlang:unique_integer([positive])},
        {History, State, Result} = proper_statem:run_commands(?MODULE, Commands, [{cluster, Cluster}]),
        Differences = differences(Cluster, Client, State),
        proper:whenfail(fun() -> io:format(user, "~ts", [story(Commands, History, Result, Differences)]) end,
                        fun() -> Result =:= ok andalso Differences =:= [] end)
    end).

differences(#cluster{nodes = Nodes} = Cluster, Client, State) ->
    Rows = md_rows:all(Client),
    Wanted = maps:from_list([{name(Cluster, Domain), Row} || {Domain, Row} <- maps:to_list(State)]),
    Is = maps:with([name(Cluster, Domain) || Domain <- ?DOMAINS], Rows),
    [{database, {is, Is}, {model, Wanted}} || Is =/= Wanted]
        ++ [{tables, Disagreements} || [_ | _] = Disagreements <- [md_rows:disagreements(Nodes, Client)]].

%% Describes a failed sequence.
story(Commands, History, Result, Differences) ->
    Done = lists:zip(lists:sublist(Commands, length(History)), History),
    Steps = [{Call, State, Answered} || {{set, _, Call}, {State, Answered}} <- Done],
    ["\nOperations on nodes, what each answered, and what its node showed then:\n",
     [io_lib:format("  ~ts~n    ~0tp~n", [sentence(Call), Answered]) || {Call, _State, Answered} <- Steps],
     ending(Result, Steps),
     [io_lib:format("In the end: ~tp~n", [Difference]) || Difference <- Differences], "\n"].

ending(ok, _Steps) ->
    [];
ending({postcondition, false}, Steps) ->
    {Call, State, _Answered} = lists:last(Steps),
    io_lib:format("The model says of the last one:~n    ~0tp~n", [said(Call, State)]);
ending(Other, _Steps) ->
    io_lib:format("The next one ended with ~tp~n", [Other]).

sentence({call, _, Function, [_Cluster, Node | Args]}) ->
    io_lib:format("node ~b: ~s ~ts", [Node, Function, lists:join(" ", Args)]).

%% The operations. Each returns the API's answer without the domain and without the text of an error, and the route that
%% the node showed when the call had returned.

insert(Cluster, Node, Domain, HostType) -> perform(Cluster, Node, Domain, insert_domain, [HostType]).
delete(Cluster, Node, Domain, HostType) -> perform(Cluster, Node, Domain, delete_domain, [HostType]).
enable(Cluster, Node, Domain) -> perform(Cluster, Node, Domain, enable_domain, []).
disable(Cluster, Node, Domain) -> perform(Cluster, Node, Domain, disable_domain, []).

%% An exception becomes an answer, too, since PropEr 1.2 cannot report it.
perform(#cluster{nodes = Nodes} = Cluster, Number, Domain, Function, Args) ->
    Node = lists:nth(Number, Nodes),
    Name = name(Cluster, Domain),
    try
        Answer = md_node:call(Node, mongoose_domain_api, Function, [Name | Args]),
        {without_domain(Name, Answer), md_node:lookup(Node, Name)}
    catch
        Class:Reason -> {{Class, Reason}, unknown}
    end.

without_domain(Name, {ok, #{domain := Name} = Details}) -> {ok, maps:remove(domain, Details)};
without_domain(_Name, {Tag, Text}) when is_atom(Tag), is_binary(Text) -> Tag;
without_domain(_Name, Other) -> {unexpected, Other}.

name(#cluster{sequence = Sequence}, Domain) ->
    <<Domain/binary, ".s", (integer_to_binary(Sequence))/binary, ".example">>.

%% PropEr's callbacks

initial_state() ->
    #{}.

command(_State) ->
    frequency([{4, {call, ?MODULE, insert, [{var, cluster}, a_node(), domain(), host_type()]}},
               {3, {call, ?MODULE, delete, [{var, cluster}, a_node(), domain(), host_type()]}},
               {2, {call, ?MODULE, enable, [{var, cluster}, a_node(), domain()]}},
               {3, {call, ?MODULE, disable, [{var, cluster}, a_node(), domain()]}}]).

a_node() ->
    integer(1, 3).

domain() ->
    oneof(?DOMAINS).

host_type() ->
    oneof(?HOST_TYPES).

precondition(_State, _Call) ->
    true.

postcondition(State, Call, {Answer, Shown}) ->
    case said(Call, State) of
        {{ok, _} = Said, WillBeShown} -> {Answer, Shown} =:= {Said, WillBeShown};
        {Refusal, _} -> Answer =:= Refusal
    end.

next_state(State, _Result, Call) ->
    {_Answer, Next} = model(Call, State),
    Next.

said({call, _, _, [_, _, Domain | _]} = Call, State) ->
    {Answer, Next} = model(Call, State),
    Shown = case Next of
        #{Domain := {HostType, enabled}} -> {ok, HostType};
        #{} -> {error, not_found}
    end,
    {Answer, Shown}.

model({call, _, insert, [_, _, Domain, HostType]}, State) ->
    case State of
        #{Domain := {HostType, _}} -> {{ok, #{host_type => HostType}}, State};
        #{Domain := {_Another, _}} -> {duplicate, State};
        #{} -> {{ok, #{host_type => HostType}}, State#{Domain => {HostType, enabled}}}
    end;
model({call, _, delete, [_, _, Domain, HostType]}, State) ->
    case State of
        #{Domain := {Another, _}} when Another =/= HostType -> {wrong_host_type, State};
        #{} -> {{ok, #{host_type => HostType, status => deleted}}, maps:remove(Domain, State)}
    end;
model({call, _, enable, [_, _, Domain]}, State) ->
    switch(Domain, enabled, State);
model({call, _, disable, [_, _, Domain]}, State) ->
    switch(Domain, disabled, State).

switch(Domain, Status, State) ->
    case State of
        #{Domain := {HostType, _}} -> {{ok, #{status => Status}}, State#{Domain := {HostType, Status}}};
        #{} -> {not_found, State}
    end.
