%% The admin program of a node, as the node and its operating system see it. Runs in the node:
%%
%%   Pid = md_node:call(Node, md_admin, os_pid, []).
-module(md_admin).

-export([os_pid/0, resident/0, said/1, answering/0]).

%% @doc The program's process, once there is one.
-spec os_pid() -> non_neg_integer() | none.
os_pid() ->
    Owned = {connected, whereis(mongoose_domain_admin)},
    Its = [Port || Port <- erlang:ports(), erlang:port_info(Port, connected) =:= Owned],
    case [Pid || Port <- Its, {os_pid, Pid} <- [erlang:port_info(Port, os_pid)]] of
        [Pid] -> Pid;
        [] -> none
    end.

%% @doc Its resident memory, in bytes. Linux tells.
-spec resident() -> pos_integer().
resident() ->
    {ok, Text} = file:read_file(io_lib:format("/proc/~b/statm", [os_pid()])),
    [_Size, Pages | _] = string:lexemes(Text, " "),
    binary_to_integer(Pages) * 4096.

%% @doc The reports with this name, whether there is an atom for it or not.
-spec said(binary()) -> [map()].
said(What) ->
    [Report || #{msg := {report, #{what := Named} = Report}} <- md_log:all(), text(Named) =:= What].

%% @doc The processes that answer its questions just now.
-spec answering() -> [pid()].
answering() ->
    Asked = {initial_call, {mongoose_domain_admin, answer_and_end, 2}},
    [Pid || Pid <- erlang:processes(), erlang:process_info(Pid, initial_call) =:= Asked].

text(Name) when is_atom(Name) -> atom_to_binary(Name);
text(Name) -> Name.
