%% The files that `domainctl' writes: after success it replaces a regular file; other kinds of files stay in place.
-module(domainctl_files_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("kernel/include/file.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_device_or_a_pipe_is_written_to_and_never_replaced_by_a_file/1,
         a_links_target_is_replaced_with_its_owner_and_mode_and_the_link_stays/1,
         an_export_that_breaks_off_leaves_what_is_there/1,
         no_link_is_followed_that_somebody_put_beside_a_file/1,
         refused_lines_go_where_they_are_sent_and_replace_nothing_else/1,
         a_file_that_is_imported_is_not_written_over/1,
         a_pipe_is_imported_like_standard_input/1]).

-define(EXPORTED, <<"domain,host_type,status\na.example,type1,enabled\n">>).

-import(md_domainctl, [command/2]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(Case, Config) ->
    Opened = md_door:open(Config),
    Admin = md_command:admin(?config(door, Opened)),
    #{exit := 0} = md_command:run(["add", "a.example", "type1"], Admin),
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    ok = file:make_dir(Directory),
    [{admin, Admin}, {directory, Directory} | Opened].

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

a_device_or_a_pipe_is_written_to_and_never_replaced_by_a_file(Config) ->
    [Pipe, Got, Null] = [at(Config, Name) || Name <- ["pipe", "got", "null"]],
    #{exit := 0, out := <<>>, err := <<"exported 1 domain to ", _/binary>>} =
        shell(Config, ["mkfifo ", Pipe, " && { cat ", Pipe, " >", Got, " & \"$0\" export ", Pipe, "; wait; }"]),
    ?assertEqual({ok, ?EXPORTED}, file:read_file(Got)),
    ?assertEqual(other, type(Pipe)),
    ok = file:make_symlink("/dev/null", Null),
    #{exit := 0, err := <<"exported 1 domain to ", _/binary>>} = command(Config, ["export", Null]),
    ?assertEqual({symlink, device}, {type(Null), type_behind(Null)}),
    case shell(Config, ["mknod ", at(Config, "device"), " c 1 3"]) of
        #{exit := 0} ->
            %% The device cannot be opened on file systems without devices.
            _ = command(Config, ["export", at(Config, "device")]),
            _ = command(Config, ["import", "-", "--refused", at(Config, "device")]),
            ?assertEqual(device, type(at(Config, "device")));
        #{exit := _NotPermitted} ->
            ok
    end,
    ?assertMatch(#{exit := 0, out := ?EXPORTED}, shell(Config, "\"$0\" export /dev/stdout | cat")),
    ?assertMatch(#{exit := 0, out := ?EXPORTED}, shell(Config, "\"$0\" export /dev/stdout")),
    ?assertMatch(#{exit := 1, out := <<>>}, command(Config, ["export", ?config(directory, Config)])),
    ok = file:make_symlink("/dev/full", at(Config, "full")),
    #{exit := 1, out := <<>>, err := Full} = command(Config, ["export", at(Config, "full")]),
    ?assertMatch({_, _}, binary:match(Full, <<"No space left on device">>)),
    ?assertEqual(["device", "full", "got", "null", "pipe"], lists:usort(["device" | files(Config)])).

a_links_target_is_replaced_with_its_owner_and_mode_and_the_link_stays(Config) ->
    [Target, Link, Dangling] = [at(Config, Name) || Name <- ["target", "link", "dangling"]],
    ok = file:write_file(Target, "an older one"),
    ok = file:change_mode(Target, 8#604),
    %% Only root may change the owner.
    _ = file:change_owner(Target, 12345, 54321),
    {ok, #file_info{uid = User, gid = Group, inode = Inode}} = file:read_file_info(Target),
    ok = file:make_symlink("target", Link),
    ok = file:make_symlink("new", Dangling),
    [#{exit := 0, out := <<"exported 1 domain to ", _/binary>>} = command(Config, ["export", File])
     || File <- [Link, Dangling]],
    [?assertEqual({ok, ?EXPORTED}, file:read_file(at(Config, Name))) || Name <- ["target", "new"]],
    [?assertEqual(symlink, type(File)) || File <- [Link, Dangling]],
    {ok, #file_info{uid = User, gid = Group, mode = Mode, inode = Now}} = file:read_file_info(Target),
    ?assertEqual(8#604, Mode band 8#7777),
    ?assertNotEqual(Inode, Now, "it was not written over while somebody read it"),
    ?assertEqual(["dangling", "link", "new", "target"], files(Config)).

an_export_that_breaks_off_leaves_what_is_there(Config) ->
    File = at(Config, "file"),
    ok = file:write_file(File, "an older one"),
    ?assertMatch(#{exit := 3}, command(Config, ["export", File, "--url", "http://127.0.0.1:1"])),
    ?assertEqual({ok, <<"an older one">>}, file:read_file(File)),
    ?assertEqual(["file"], files(Config)).

no_link_is_followed_that_somebody_put_beside_a_file(Config) ->
    [File, Victim] = [at(Config, Name) || Name <- ["domains.csv", "victim"]],
    [begin
         ok = file:write_file(File, "b.example,type9\n"),
         ok = file:write_file(Victim, "precious"),
         ok = file:make_symlink("victim", File ++ Ending),
         #{exit := 1, err := Err} = command(Config, ["import", File]),
         ?assertMatch({_, _}, binary:match(Err, <<"no regular file">>)),
         ?assertEqual({ok, <<"precious">>}, file:read_file(Victim)),
         ?assertEqual(symlink, type(File ++ Ending)),
         ok = file:delete(File ++ Ending)
     end || Ending <- [".refused", ".progress"]],
    #{exit := 1} = command(Config, ["import", File]),
    ?assertEqual(["domains.csv", "domains.csv.refused", "victim"], files(Config)).

refused_lines_go_where_they_are_sent_and_replace_nothing_else(Config) ->
    [File, Null, Target, Link] = [at(Config, Name) || Name <- ["domains.csv", "null", "target", "link"]],
    ok = file:write_file(File, "b.example,type9\n"),
    ok = file:make_symlink("/dev/null", Null),
    ok = file:write_file(Target, "a longer text than what is refused, which is to be gone when it is written"),
    ok = file:change_mode(Target, 8#604),
    ok = file:make_symlink("target", Link),
    [#{exit := 1} = command(Config, ["import", File, "--refused", To]) || To <- [Null, Link]],
    ?assertEqual({symlink, device}, {type(Null), type_behind(Null)}),
    ?assertEqual({ok, <<"# line 1: Unknown host type\nb.example,type9\n">>}, file:read_file(Target)),
    ?assertEqual(symlink, type(Link)),
    {ok, #file_info{mode = Mode}} = file:read_file_info(Target),
    ?assertEqual(8#604, Mode band 8#7777).

a_file_that_is_imported_is_not_written_over(Config) ->
    File = at(Config, "domains.csv"),
    Text = <<"b.example,type9\n">>,
    ok = file:write_file(File, Text),
    ok = file:make_link(File, at(Config, "another_name")),
    [begin
         ?assertMatch(#{exit := 2, out := <<>>}, Result),
         ?assertEqual({ok, Text}, file:read_file(File))
     end || Result <- [command(Config, ["import", File, "--refused", File]),
                       command(Config, ["import", File, "--refused", at(Config, "another_name")]),
                       shell(Config, ["\"$0\" import - --refused ", File, " <", File])]].

a_pipe_is_imported_like_standard_input(Config) ->
    #{exit := 1, out := Out, err := Err} =
        shell(Config, "printf 'a.example,type1\\nb.example,type9\\n' | \"$0\" import /dev/stdin"),
    ?assertMatch(<<"accepted 1, refused 1; 2 lines", _/binary>>, Out),
    ?assertEqual(<<"# line 2: Unknown host type\nb.example,type9\n">>, Err).

shell(Config, Line) ->
    md_command:run_shell(Line, ?config(admin, Config)).

at(Config, Name) ->
    filename:join(?config(directory, Config), Name).

files(Config) ->
    {ok, Names} = file:list_dir(?config(directory, Config)),
    lists:sort(Names).

type(File) ->
    {ok, #file_info{type = Type}} = file:read_link_info(File),
    Type.

type_behind(File) ->
    {ok, #file_info{type = Type}} = file:read_file_info(File),
    Type.
