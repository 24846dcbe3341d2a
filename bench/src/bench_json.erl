%% Results as lines of JSON. The key "bench" says what was measured; the figures are beside it.
-module(bench_json).

-export([lines/1]).

%% @doc One object on each line.
-spec lines([bench:result()]) -> iodata().
lines(Results) ->
    [[value(Facts#{bench => What}), $\n] || {What, Facts} <- Results].

value(Map) when is_map(Map) ->
    Pairs = [[string(atom_to_binary(Key)), $:, value(Value)] || {Key, Value} <- lists:sort(maps:to_list(Map))],
    [${, lists:join($,, Pairs), $}];
value(List) when is_list(List) ->
    [$[, lists:join($,, [value(Value) || Value <- List]), $]];
value(Atom) when is_atom(Atom) ->
    string(atom_to_binary(Atom));
value(Text) when is_binary(Text) ->
    string(Text);
value(Integer) when is_integer(Integer) ->
    integer_to_binary(Integer);
value(Float) when is_float(Float) ->
    float_to_binary(Float, [{decimals, 3}, compact]).

string(Text) ->
    [$", [escape(Char) || Char <- unicode:characters_to_list(Text)], $"].

escape(Char) when Char =:= $"; Char =:= $\\ -> [$\\, Char];
escape(Char) when Char < 32 -> io_lib:format("\\u~4.16.0b", [Char]);
escape(Char) -> <<Char/utf8>>.
