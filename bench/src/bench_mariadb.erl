%% mariadb, the client of MariaDB: the yardstick for reading domains.
-module(bench_mariadb).

-export([select_out/2]).

-define(ENABLED, "SELECT domain, host_type FROM domain_settings WHERE status = 1").

%% @doc Writes every enabled domain into a pipe, row by row as they come, to a program that counts the bytes. Returns the
%% milliseconds, which include the start of the client, and the bytes.
-spec select_out(file:filename(), string()) -> {Milliseconds :: float(), Bytes :: pos_integer()}.
select_out(Client, Url) ->
    #{host := Host, port := Port, userinfo := User, path := [$/ | Database]} = uri_string:parse(Url),
    Command = io_lib:format("'~s' --no-defaults --protocol=tcp --host='~s' --port=~b --user='~s' --batch --quick "
                            "--skip-column-names -e '~s' '~s' | wc -c", [Client, Host, Port, User, ?ENABLED, Database]),
    {Microseconds, Output} = timer:tc(fun() -> os:cmd(lists:flatten(Command)) end),
    {Microseconds / 1000, list_to_integer(string:trim(Output))}.
