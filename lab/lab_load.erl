%% The clients: each changes domains of its own, one after the other, through one door of one site, and writes down what it called and
%% what was answered.
%%
%% Since a domain has one client, the order of its changes is known, whatever their outcomes were. Each addition and each change of a
%% host type takes another host type than the last one, so that what a node shows tells which change it has seen.
%%
%% An answer is `ok', `refused' (nothing was changed) or `unknown'. An `unknown' one may have been made, at once or later, or in part: a removal whose
%% handler has failed has marked the row.
-module(lab_load).

-export([start/4, stop/1, names/0, host_types/0]).

%% Site and door. The API is called in the node; the others are programs in the site's namespace.
-define(CLIENTS, [{1, api}, {2, api}, {3, api}, {1, rest}, {2, ctl}, {3, rest}, {1, sql}, {2, sql}, {3, sql}]).
-define(NAMES, 12).
-define(HOST_TYPES, 30).
%% The longest pause of a client between two calls, in milliseconds.
-define(PAUSE, 1500).
-define(TIMEOUT, 20000).

%% @doc All names, of all clients.
-spec names() -> [binary()].
names() ->
    lists:append([names(Client) || Client <- ?CLIENTS]).

names({Site, Door}) ->
    [unicode:characters_to_binary(io_lib:format("~s-~b-~2..0b.example", [Door, Site, Number])) || Number <- lists:seq(1, ?NAMES)].

-spec host_types() -> [binary()].
host_types() ->
    [unicode:characters_to_binary(io_lib:format("t~2..0b", [Number])) || Number <- lists:seq(1, ?HOST_TYPES)].

%% @doc Starts all clients. The seed decides what they call, and not when that is answered.
-spec start(integer(), #{1..3 => pid()}, file:filename(), file:filename()) -> [pid()].
start(Seed, Nodes, Programs, Work) ->
    [spawn_link(fun() ->
        State = #{site => Site, door => Door, node => maps:get(Site, Nodes), programs => Programs, work => Work,
                  client => <<(atom_to_binary(Door))/binary, $-, ($0 + Site)>>,
                  random => rand:seed_s(exsss, {Seed, Index, 1}), names => names(Client), rows => #{}},
        client(State)
     end) || {Index, {Site, Door} = Client} <- lists:enumerate(?CLIENTS)].

%% @doc Returns when all clients have had the answers to their last calls.
-spec stop([pid()]) -> ok.
stop(Clients) ->
    Monitors = [monitor(process, Client) || Client <- Clients],
    _ = [Client ! stop || Client <- Clients],
    lists:foreach(fun(Monitor) -> receive {'DOWN', Monitor, process, _, normal} -> ok end end, Monitors).

client(State0) ->
    {Pause, State1} = draw(?PAUSE, State0),
    receive
        stop -> ok
    after Pause ->
        {Call, State2} = choose(State1),
        client(made(Call, State2))
    end.

%% What to do next: a map with `what', `domain', `host_type'. The last known content of the row only weighs the choice.
choose(#{names := Names, rows := Rows, door := Door} = State0) ->
    {Index, State1} = draw(length(Names), State0),
    Domain = lists:nth(Index, Names),
    {Choice, State2} = draw(100, State1),
    Row = maps:get(Domain, Rows, none),
    What = what(Door, Row, Choice),
    {HostType, State3} = host_type(What, Row, State2),
    {#{what => What, domain => Domain, host_type => HostType}, State3}.

what(ctl, none, Choice) when Choice < 40 -> import;
what(_Door, none, Choice) when Choice < 90 -> add;
what(_Door, none, _Choice) -> remove;
what(api, _Row, Choice) when Choice < 10 -> password;
what(api, _Row, Choice) when Choice < 20 -> check_password;
what(sql, _Row, Choice) when Choice < 30 -> move;
what(sql, _Row, Choice) when Choice < 35 -> rolled_back;
what(ctl, _Row, Choice) when Choice < 5 -> fresh;
what(_Door, _Row, Choice) when Choice < 50 -> disable;
what(_Door, _Row, Choice) when Choice < 75 -> enable;
what(Door, _Row, Choice) when Choice < 82, Door =/= sql, Door =/= ctl -> request_remove;
what(_Door, _Row, _Choice) -> remove.

host_type(What, Row, State0) when Row =:= none; What =:= move; What =:= rolled_back ->
    {Index, State1} = draw(?HOST_TYPES, State0),
    case lists:nth(Index, host_types()) of
        Row -> host_type(What, Row, State1);
        HostType -> {HostType, State1}
    end;
host_type(_What, Row, State) ->
    {Row, State}.

draw(Limit, #{random := Random0} = State) ->
    {Number, Random} = rand:uniform_s(Limit, Random0),
    {Number, State#{random := Random}}.

made(#{what := What, domain := Domain, host_type := HostType} = Call, #{site := Site, door := Door, client := Client, rows := Rows} = State0) ->
    {Late, State} = draw(20, State0),
    From = lab_history:now(),
    {Answer, More} = case Door of
        api -> api(Call, State);
        rest -> rest(Call, State);
        ctl -> ctl(Call, State);
        sql -> sql(Call, Late, State)
    end,
    ok = lab_history:note(op, maps:merge(#{client => Client, site => Site, door => Door, what => What, domain => Domain, host_type => HostType,
                                           from => From, to => lab_history:now(), answer => Answer}, More)),
    State#{rows := row_after(What, Answer, Domain, HostType, Rows)}.

%% What the client believes of the row afterwards: it decides what is called next, and proves nothing.
row_after(What, ok, Domain, HostType, Rows) when What =:= add; What =:= move; What =:= import ->
    Rows#{Domain => HostType};
row_after(What, ok, Domain, _HostType, Rows) when What =:= remove; What =:= request_remove -> maps:remove(Domain, Rows);
row_after(add, unknown, Domain, HostType, Rows) -> Rows#{Domain => HostType};
row_after(add, refused, Domain, HostType, Rows) -> Rows#{Domain => HostType};
row_after(enable, refused, Domain, _HostType, Rows) -> maps:remove(Domain, Rows);
row_after(_What, _Answer, _Domain, _HostType, Rows) -> Rows.

%% The API, in the node

api(#{what := What, domain := Domain, host_type := HostType}, #{node := Node}) ->
    {Function, Arguments} = case What of
        add -> {insert_domain, [Domain, HostType]};
        remove -> {delete_domain, [Domain]};
        request_remove -> {request_delete_domain, [Domain, HostType]};
        enable -> {enable_domain, [Domain]};
        disable -> {disable_domain, [Domain]};
        password -> {set_domain_password, [Domain, <<"a password">>]};
        check_password -> {check_domain_password, [Domain, <<"a password">>]}
    end,
    case lab_node:call(Node, Domain, Function, Arguments) of
        none ->
            {unknown, #{text => <<"no answer">>}};
        #{from := From, to := To, result := Result, sees := Sees} ->
            {classified(Result), #{within => [From, To], sees => Sees, text => lab_command:text(Result)}}
    end.

classified(ok) -> ok;
classified({ok, _}) -> ok;
classified({Tag, _}) when Tag =:= duplicate; Tag =:= not_found; Tag =:= deleted; Tag =:= wrong_host_type -> refused;
classified({error, Tag}) when Tag =:= wrong_password; Tag =:= not_found; Tag =:= overloaded -> refused;
classified(_) -> unknown.

%% REST, by curl

rest(#{what := What, domain := Domain, host_type := HostType}, #{site := Site}) ->
    Json = fun(Text) -> ["-H", "content-type: application/json", "-d", Text] end,
    Of = ["{\"host_type\": \"", HostType, "\"}"],
    {Method, Body} = case What of
        add -> {"PUT", Json(Of)};
        remove -> {"DELETE", Json(Of)};
        request_remove -> {"DELETE", Json(["{\"host_type\": \"", HostType, "\", \"request\": true}"])};
        enable -> {"PATCH", Json("{\"enabled\": true}")};
        disable -> {"PATCH", Json("{\"enabled\": false}")}
    end,
    Url = ["http://127.0.0.1:8088/api/domains/", Domain],
    case lab_command:run({site, Site}, ["curl", "-s", "-m", "15", "-w", "\n%{http_code}", "-X", Method, Url | Body], ?TIMEOUT) of
        timeout -> {unknown, #{text => <<"no answer">>}};
        {_Status, Output} -> {by_code(lists:last(binary:split(Output, <<"\n">>, [global]))), #{text => Output}}
    end.

by_code(<<"20", _>>) -> ok;
by_code(<<"4", _, _>>) -> refused;
by_code(_) -> unknown.

%% domainctl

ctl(#{what := What, domain := Domain, host_type := HostType}, #{site := Site, programs := Programs, work := Work}) ->
    File = filename:join(Work, "import.ndjson"),
    Arguments = case What of
        add -> ["add", Domain, HostType];
        remove -> ["remove", Domain, HostType];
        enable -> ["enable", Domain];
        disable -> ["disable", Domain];
        fresh -> ["fresh", HostType, "20s"];
        import ->
            ok = file:write_file(File, ["{\"domain\": \"", Domain, "\", \"host_type\": \"", HostType, "\"}\n"]),
            _ = file:delete(File ++ ".progress"),
            ["import", "--refused", filename:join(Work, "refused"), File]
    end,
    case lab_command:run({site, Site}, ["timeout", "15", filename:join(Programs, "domainctl") | Arguments], ?TIMEOUT) of
        {0, Output} -> {ok, #{text => Output}};
        {Status, Output} -> {unknown, #{text => Output, status => Status}};
        timeout -> {unknown, #{text => <<"no answer">>}}
    end.

%% SQL, by psql: a row, its event and a notification. One of ten transactions is open for a while before it commits, so that ids of
%% events show late.

sql(#{what := What, domain := Domain, host_type := HostType}, Late, #{site := Site}) ->
    Quoted = ["'", Domain, "'"],
    Change = case What of
        add -> ["INSERT INTO domain_settings (domain, host_type) VALUES (", Quoted, ", '", HostType, "')"];
        remove -> ["DELETE FROM domain_settings WHERE domain = ", Quoted];
        enable -> ["UPDATE domain_settings SET status = 1 WHERE status <> 2 AND domain = ", Quoted];
        disable -> ["UPDATE domain_settings SET status = 0 WHERE status <> 2 AND domain = ", Quoted];
        Moved when Moved =:= move; Moved =:= rolled_back -> ["UPDATE domain_settings SET host_type = '", HostType, "' WHERE domain = ", Quoted]
    end,
    Pause = [["SELECT pg_sleep(", float_to_list(Late / 5, [{decimals, 1}]), "); "] || Late < 3],
    End = case What of rolled_back -> "ROLLBACK"; _ -> "COMMIT" end,
    Script = ["BEGIN; ", Change, "; INSERT INTO domain_events (domain) VALUES (", Quoted, "); NOTIFY mongoose_domain_events; ", Pause, End],
    Psql = ["timeout", "15", "psql", "-X", "-q", "-h", "127.0.0.1", "-p", "5000", "-U", "domains", "-v", "ON_ERROR_STOP=1", "-c", Script, "domains"],
    case lab_command:run({site, Site}, Psql, ?TIMEOUT) of
        {0, Output} -> {ok, #{text => Output}};
        {_Status, Output} -> {sql_answer(Output), #{text => Output}};
        timeout -> {unknown, #{text => <<"no answer">>}}
    end.

%% An error of the server, with the connection whole, has ended the transaction.
sql_answer(<<"ERROR:", _/binary>>) -> refused;
sql_answer(_) -> unknown.
