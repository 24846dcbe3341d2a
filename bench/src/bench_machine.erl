%% The machine on which the figures were measured.
-module(bench_machine).

-export([describe/1]).

%% @doc Processor, memory, system and versions. Psql is the program, which knows PostgreSQL's version.
-spec describe(file:filename()) -> bench:result().
describe(Psql) ->
    {machine, #{
        processor => field("/proc/cpuinfo", "model name"), cache => field("/proc/cpuinfo", "cache size"),
        cores => erlang:system_info(logical_processors_available), schedulers => erlang:system_info(schedulers_online),
        memory => field("/proc/meminfo", "MemTotal"), kernel => text(os:cmd("uname -sr")),
        load_average => first_line("/proc/loadavg"), otp => list_to_binary(erlang:system_info(otp_release)),
        emulator => erlang:system_info(emu_flavor), postgresql => text(os:cmd([$', Psql, "' --version"])),
        revision => text(os:cmd("git describe --always --dirty 2>/dev/null")),
        time => list_to_binary(calendar:system_time_to_rfc3339(erlang:system_time(second), [{offset, "Z"}]))
    }}.

field(File, Name) ->
    case file:read_file(File) of
        {ok, Text} ->
            case re:run(Text, ["^", Name, "\\s*: *(.*)$"], [multiline, {capture, all_but_first, binary}]) of
                {match, [Value]} -> Value;
                nomatch -> unknown
            end;
        {error, _} ->
            unknown
    end.

first_line(File) ->
    case file:read_file(File) of
        {ok, Text} -> hd(binary:split(Text, <<"\n">>));
        {error, _} -> unknown
    end.

text(Chars) ->
    unicode:characters_to_binary(string:trim(Chars)).
