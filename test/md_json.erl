%% Decodes and encodes JSON: objects are maps with binary keys, null is null, strings are binaries.
%%
%%   #{<<"a">> := [1, null, <<"b">>]} = md_json:decode(<<"{\"a\": [1, null, \"b\"]}">>).
%%
%% encode/1 writes atoms other than true, false and null as strings. Input that is not JSON fails.
-module(md_json).

-export([decode/1, encode/1]).

-export_type([t/0]).

-type t() :: null | boolean() | number() | binary() | [t()] | #{binary() => t()}.

%% @doc The value of the whole text.
-spec decode(iodata()) -> t().
decode(Text) ->
    {Value, Rest} = value(blank(iolist_to_binary(Text))),
    <<>> = blank(Rest),
    Value.

%% @doc The value as a JSON text.
-spec encode(t() | atom() | #{atom() => term()} | [term()]) -> iodata().
encode(Atom) when Atom =:= null; is_boolean(Atom) -> atom_to_binary(Atom);
encode(Atom) when is_atom(Atom) -> encode(atom_to_binary(Atom));
encode(Number) when is_integer(Number) -> integer_to_binary(Number);
encode(Number) when is_float(Number) -> io_lib:format("~p", [Number]);
encode(Text) when is_binary(Text) ->
    [$", [escape(Character) || Character <- unicode:characters_to_list(Text)], $"];
encode(List) when is_list(List) -> [$[, lists:join($,, [encode(Value) || Value <- List]), $]];
encode(#{} = Map) ->
    [${, lists:join($,, [[encode(Key), $:, encode(Value)] || {Key, Value} <- maps:to_list(Map)]), $}].

escape(Character) when Character =:= $"; Character =:= $\\ -> [$\\, Character];
escape(Character) when Character < 32 -> io_lib:format("\\u~4.16.0b", [Character]);
escape(Character) -> <<Character/utf8>>.

blank(<<Character, Rest/binary>>) when Character =:= $\s; Character =:= $\t; Character =:= $\n; Character =:= $\r ->
    blank(Rest);
blank(Rest) ->
    Rest.

value(<<"null", Rest/binary>>) -> {null, Rest};
value(<<"true", Rest/binary>>) -> {true, Rest};
value(<<"false", Rest/binary>>) -> {false, Rest};
value(<<$", Rest/binary>>) -> text(Rest, <<>>);
value(<<$[, Rest/binary>>) -> list(blank(Rest));
value(<<${, Rest/binary>>) -> object(blank(Rest));
value(Text) -> number(Text).

list(<<$], Rest/binary>>) -> {[], Rest};
list(Text) -> list(Text, []).

list(Text, Values) ->
    {Value, Rest} = value(Text),
    case blank(Rest) of
        <<$,, Others/binary>> -> list(blank(Others), [Value | Values]);
        <<$], Others/binary>> -> {lists:reverse(Values, [Value]), Others}
    end.

object(<<$}, Rest/binary>>) -> {#{}, Rest};
object(Text) -> object(Text, #{}).

object(<<$", Text/binary>>, Pairs) ->
    {Key, AfterKey} = text(Text, <<>>),
    <<$:, AfterColon/binary>> = blank(AfterKey),
    {Value, Rest} = value(blank(AfterColon)),
    case blank(Rest) of
        <<$,, Others/binary>> -> object(blank(Others), Pairs#{Key => Value});
        <<$}, Others/binary>> -> {Pairs#{Key => Value}, Others}
    end.

text(<<$", Rest/binary>>, Text) -> {Text, Rest};
text(<<"\\u", Code:4/binary, Rest/binary>>, Text) -> unit(binary_to_integer(Code, 16), Rest, Text);
text(<<$\\, Escaped, Rest/binary>>, Text) -> text(Rest, <<Text/binary, (escaped(Escaped))>>);
text(<<Character/utf8, Rest/binary>>, Text) when Character >= 32 -> text(Rest, <<Text/binary, Character/utf8>>).

%% JSON writes a character beyond U+FFFF as two units.
unit(High, <<"\\u", Low:4/binary, Rest/binary>>, Text) when High >= 16#D800, High =< 16#DBFF ->
    Pair = <<High:16, (binary_to_integer(Low, 16)):16>>,
    text(Rest, <<Text/binary, (unicode:characters_to_binary(Pair, utf16))/binary>>);
unit(Character, Rest, Text) ->
    text(Rest, <<Text/binary, Character/utf8>>).

escaped($b) -> $\b;
escaped($f) -> $\f;
escaped($n) -> $\n;
escaped($r) -> $\r;
escaped($t) -> $\t;
escaped(Same) when Same =:= $"; Same =:= $\\; Same =:= $/ -> Same.

number(Text) ->
    {match, [Digits]} = re:run(Text, "^-?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?", [{capture, first, binary}]),
    Rest = binary:part(Text, byte_size(Digits), byte_size(Text) - byte_size(Digits)),
    case re:run(Digits, "[.eE]") of
        nomatch -> {binary_to_integer(Digits), Rest};
        _ -> {float_of(Digits), Rest}
    end.

%% Erlang requires a fraction before an exponent.
float_of(Digits) ->
    binary_to_float(re:replace(Digits, "^(-?[0-9]+)([eE])", "\\1.0\\2", [{return, binary}])).
