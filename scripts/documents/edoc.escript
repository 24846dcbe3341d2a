#!/usr/bin/env escript
%% Usage: escript scripts/documents/edoc.escript SOURCES TARGET
%%
%% Builds the reference of the modules below SOURCES into TARGET by EDoc. A warning is an error.
%%
%% The comment above `-module' describes the module. EDoc would need a @doc tag, quotes around examples and escaped XML
%% there. The comments are written for readers of the source, so EDoc gets a copy with these marks.
-mode(compile).

main([Sources, Target]) ->
    Copies = filename:join(Target, "sources"),
    Files = [copy(File, Sources, Copies) || File <- filelib:wildcard("**/*.{erl,hrl}", Sources)],
    {Result, Said} = capture(fun() ->
        edoc:files([File || File <- Files, filename:extension(File) =:= ".erl"],
                   [{dir, Target}, {title, "mongoose_domain"}, {preprocess, true}])
    end),
    ok = file:del_dir_r(Copies),
    io:put_chars([[Line, $\n] || Line <- Said]),
    halt(case {Result, Said} of {ok, []} -> 0; _ -> 1 end).

copy(File, Sources, Copies) ->
    Copy = filename:join(Copies, File),
    ok = filelib:ensure_dir(Copy),
    {ok, Source} = file:read_file(filename:join(Sources, File)),
    ok = file:write_file(Copy, with_marked_header(binary:split(Source, <<"\n">>, [global]))),
    Copy.

with_marked_header(Lines) ->
    {Header, Rest} = lists:splitwith(fun(Line) -> binary:match(Line, <<"%%">>) =:= {0, 2} end, Lines),
    lists:join($\n, marked([re:replace(Line, "^%% ?", "", [{return, binary}]) || Line <- Header]) ++ Rest).

%% The quotes around an example take the places of the empty lines before and after it.
marked([]) -> [];
marked([First | More]) -> [["%% @doc ", escaped(First)] | marked(More, text)].

marked([], text) -> [];
marked([], example) -> ["%% '''"];
marked([<<>>, <<"  ", _/binary>> = Line | More], text) -> ["%% ```", ["%% ", Line] | marked(More, example)];
marked([<<>>, <<"  ", _/binary>> = Line | More], example) -> ["%%", ["%% ", Line] | marked(More, example)];
marked([<<>> | More], example) -> ["%% '''" | marked(More, text)];
marked([Line | More], example) -> [["%% ", Line] | marked(More, example)];
marked([Line | More], text) -> [["%% ", escaped(Line)] | marked(More, text)].

%% EDoc itself escapes quoted text.
escaped(Line) ->
    [case Part of
         <<$`, _/binary>> -> Part;
         _ -> string:replace(string:replace(Part, "&", "&amp;", all), "<", "&lt;", all)
     end || Part <- re:split(Line, "(`[^']*')")].

%% What EDoc prints while Fun runs, and whether it came to its end.
capture(Fun) ->
    Collector = spawn_link(fun() -> collect([]) end),
    Printed = group_leader(),
    true = group_leader(Collector, self()),
    Result = try Fun() catch _:_ -> failed end,
    true = group_leader(Printed, self()),
    Collector ! {stop, self()},
    receive {said, Said} -> {Result, string:lexemes(unicode:characters_to_list(Said), "\n")} end.

collect(Said) ->
    receive
        {io_request, From, Reply, Request} ->
            From ! {io_reply, Reply, ok},
            collect([Said | written(Request)]);
        {stop, To} ->
            To ! {said, Said}
    end.

written({put_chars, _, Chars}) -> [Chars];
written({put_chars, _, M, F, A}) -> [apply(M, F, A)];
written(_Other) -> [].
