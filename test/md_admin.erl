%% The admin program of a node: its process, its memory and its reports. The functions run in the node:
%%
%%   Pid = md_node:call(Node, md_admin, os_pid, []).
-module(md_admin).

-export([os_pid/0, resident/0, said/1, answering/0]).

%% @doc The id of the program's process, or `none' when it does not run.
-spec os_pid() -> non_neg_integer() | none.
os_pid() ->
    Owned = {connected, whereis(mongoose_domain_admin)},
    Its = [Port || Port <- erlang:ports(), erlang:port_info(Port, connected) =:= Owned],
    case [Pid || Port <- Its, {os_pid, Pid} <- [erlang:port_info(Port, os_pid)]] of
        [Pid] -> Pid;
        [] -> none
    end.

%% @doc Its resident memory in bytes, from Linux's /proc.
-spec resident() -> pos_integer().
resident() ->
    {ok, Text} = file:read_file(io_lib:format("/proc/~b/statm", [os_pid()])),
    [_Size, Pages | _] = string:lexemes(Text, " "),
    binary_to_integer(Pages) * 4096.

%% @doc The logged reports with this name. The name is a binary, since an unknown event has no atom.
-spec said(binary()) -> [map()].
said(What) ->
    [Report || #{msg := {report, #{what := Named} = Report}} <- md_log:all(), text(Named) =:= What].

%% @doc The processes that are answering requests of the program now.
-spec answering() -> [pid()].
answering() ->
    Asked = {initial_call, {mongoose_domain_admin, answer_and_end, 2}},
    [Pid || Pid <- erlang:processes(), erlang:process_info(Pid, initial_call) =:= Asked].

text(Name) when is_atom(Name) -> atom_to_binary(Name);
text(Name) -> Name.
