%% How many requests for /ask a node answers, beside an nginx that answers 200 to every request.
%%
%% wrk sends the requests over keep-alive connections. Each connection sends its next request after the response to the
%% one before. Three in four names are drawn at random from the whole table; the others are not served. nginx gets the
%% same requests. The two take turns; each round takes a second or more, and the first round of each is discarded.
-module(bench_ask).

-export([run/2]).

%% The number of requests in wrk's script, which starts again after the last one.
-define(QUESTIONS, 20000).

-define(SCRIPT,
    "local requests, next = {}, 0\n"
    "function init()\n"
    "  for line in io.lines(os.getenv('BENCH_ASK_NAMES')) do\n"
    "    requests[#requests + 1] = wrk.format('GET', '/ask?domain=' .. line)\n"
    "  end\n"
    "end\n"
    "function request() next = next % #requests + 1 return requests[next] end\n"
    "function done(summary, latency)\n"
    "  local errors = summary.errors\n"
    "  local broken = errors.connect + errors.read + errors.write + errors.timeout\n"
    "  print(string.format('bench_ask %d %d %d %d %d.', summary.requests, summary.duration,\n"
    "                      latency:percentile(50), latency:percentile(99), broken))\n"
    "end\n").

%% @doc In a VM that follows a database with so many domains. Directory is for what wrk and nginx need.
-spec run(pos_integer(), #{connections := [pos_integer()], rounds := pos_integer(), seconds := pos_integer()}) ->
    [bench:result()].
run(Rows, Options) ->
    case {os:find_executable("wrk"), string:trim(os:cmd("scripts/edges nginx 2>/dev/null"))} of
        {false, _} -> left_out("wrk is not here; on Debian, apt-get install wrk brings it");
        {_, ""} -> left_out("nginx is not here and could not be fetched");
        {Wrk, Nginx} -> measure(Wrk, Nginx, Rows, Options)
    end.

left_out(Why) ->
    io:format(standard_error, "  ask is left out: ~s~n", [Why]),
    [].

measure(Wrk, Nginx, Rows, #{connections := Connections, rounds := Rounds, seconds := Seconds}) ->
    Directory = filename:join(os:getenv("TMPDIR", "/tmp"), "bench_ask." ++ os:getpid()),
    ok = file:make_dir(Directory),
    try
        Script = filename:join(Directory, "ask.lua"),
        ok = file:write_file(Script, ?SCRIPT),
        ok = file:write_file(filename:join(Directory, "names"), lists:join($\n, names(Rows))),
        application:set_env(mongoose_domain, admin, #{port => 0, ask => #{port => 0}}),
        ok = bench_node:start(),
        Sides = [{nginx, start_nginx(Nginx, Directory)}, {ours, url()}],
        Figures = [{{Side, Count}, ask(Wrk, Script, Directory, Url, Count, Seconds)}
                   || _Round <- lists:seq(0, Rounds), Count <- Connections, {Side, Url} <- Sides],
        [result(Side, Count, tl(proplists:get_all_values({Side, Count}, Figures)))
         || Count <- Connections, {Side, _Url} <- Sides]
    after
        ok = file:del_dir_r(Directory)
    end.

%% Other parts of the benchmark add domains with higher numbers.
names(Rows) ->
    Missing = ?QUESTIONS div 4,
    Names = bench_names:draw(?QUESTIONS - Missing, 0, Rows, 1) ++ bench_names:draw(Missing, 3 * Rows, Rows, 2),
    [Name || {_, Name} <- lists:sort([{rand:uniform(), Name} || Name <- Names])].

url() ->
    case mongoose_domain_admin:ask_url() of
        {ok, Url} -> Url;
        {error, closed} ->
            timer:sleep(10),
            url()
    end.

%% It ends with this VM, since its standard input is closed then.
start_nginx(Nginx, Directory) ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Paths = [[Kind, "_temp_path ", Kind, ";\n"] || Kind <- ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]],
    Server = io_lib:format("server {\nlisten 127.0.0.1:~b;\nkeepalive_requests 1000000000;\nlocation = /ask { return 200; }\n}\n",
                           [Port]),
    Config = filename:join(Directory, "nginx.conf"),
    ok = file:write_file(Config, ["daemon off;\nworker_processes auto;\npid nginx.pid;\nerror_log errors;\n",
                                  "events { worker_connections 4096; }\nhttp {\naccess_log off;\n", Paths, Server, "}\n"]),
    Guard = "\"$@\" </dev/null & program=$!; cat >/dev/null; kill -TERM $program; wait $program",
    _ = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", Guard, "sh", Nginx, "-p", Directory, "-c", Config]}, hide]),
    ok = await(Port),
    iolist_to_binary(io_lib:format("http://127.0.0.1:~b/ask", [Port])).

await(Port) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket);
        {error, econnrefused} ->
            timer:sleep(10),
            await(Port)
    end.

%% Responses a second, and the latency in microseconds.
ask(Wrk, Script, Directory, Url, Connections, Seconds) ->
    Args = ["-t", "1", "-c", integer_to_list(Connections), "-d", integer_to_list(Seconds), "-s", Script, Url],
    Names = {"BENCH_ASK_NAMES", filename:join(Directory, "names")},
    Port = open_port({spawn_executable, Wrk}, [{args, Args}, {env, [Names]}, {line, 1000}, exit_status]),
    [Requests, Duration, P50, P99, 0] = said(Port, none),
    {Requests * 1.0e6 / Duration, P50, P99}.

said(Port, Figures) ->
    receive
        {Port, {data, {eol, "bench_ask " ++ Said}}} ->
            said(Port, [list_to_integer(Figure) || Figure <- string:lexemes(Said, " .")]);
        {Port, {data, _}} -> said(Port, Figures);
        {Port, {exit_status, 0}} -> Figures
    end.

result(Side, Connections, Figures) ->
    {Rates, P50s, P99s} = lists:unzip3(Figures),
    {ask, #{side => Side, connections => Connections, rate => bench_stats:summary(Rates),
            p50 => bench_stats:median(P50s), p99 => bench_stats:median(P99s)}}.
