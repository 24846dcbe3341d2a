%% Removes the values of options, which may be secrets, from errors and reports.
%%
%% Code that calls a user's module with a map of options does so by call/4. When the call fails, the failure is logged with
%% the options' keys and raised again. In both, '(not shown)' stands for every value of the options that can be recognised:
%% a text, or one that contains it; a list, map or tuple; any value beside its key. Arguments of the calls in the
%% stacktrace are replaced by their number. A number or an atom that stands alone stays: it may mean anything.
-module(mongoose_domain_redact).

-export([call/4, call_optional/4, keys/1, redact/2]).

-include("mongoose_domain_log.hrl").

-define(NOT_SHOWN, '(not shown)').
%% A shorter text is part of many others.
-define(SHORTEST_PART, 4).

%% @doc What the function returns. Its failure is logged with this report, and raised again.
-spec call(logger:level(), Report :: map(), Options :: map(), fun(() -> Result)) -> Result.
call(Level, Report, Options, Fun) ->
    try
        Fun()
    catch
        Class:Reason:Stacktrace ->
            Shown = redact(Reason, Options),
            Calls = [without_arguments(Call) || Call <- Stacktrace],
            ?LOG(Level, Report#{options => keys(Options), class => Class, reason => Shown, stacktrace => Calls}),
            erlang:raise(Class, Shown, Calls)
    end.

%% @doc What an optional callback returns, or the default where it is not exported. Options are redacted from a failure.
-spec call_optional({module(), Callback :: atom()}, Arguments :: [term()], Options :: map(), Default :: term()) -> term().
call_optional({Module, Callback}, Arguments, Options, Default) ->
    _ = code:ensure_loaded(Module),
    case erlang:function_exported(Module, Callback, length(Arguments)) of
        true ->
            Report = #{what => callback_failed, callback => {Module, Callback, length(Arguments)}},
            call(error, Report, Options, fun() -> apply(Module, Callback, Arguments) end);
        false ->
            Default
    end.

without_arguments({Module, Function, Arguments, Location}) when is_list(Arguments) ->
    {Module, Function, length(Arguments), place(Location)};
without_arguments({Module, Function, Arity, Location}) ->
    {Module, Function, Arity, place(Location)}.

place(Location) ->
    [Item || {Key, _} = Item <- Location, Key =:= file orelse Key =:= line].

%% @doc The keys, which may be shown.
-spec keys(Options :: map()) -> [term()].
keys(Options) ->
    lists:sort(maps:keys(Options)).

%% @doc The term without the options' values.
-spec redact(term(), Options :: map()) -> term().
redact(Term, Options) ->
    Values = lists:append([parts(Value) || Value <- [Options | maps:values(Options)]]),
    Texts = [Text || Value <- Values, {ok, Text} <- [text(Value)], byte_size(Text) >= ?SHORTEST_PART],
    walk(Term, Options, {maps:from_keys(Values, value), Texts}).

%% The value and its parts, as far as they can be recognised.
parts(Value) when is_binary(Value), Value =/= <<>> -> [Value];
parts(Value) when is_map(Value), map_size(Value) > 0 -> [Value | lists:append([parts(V) || V <- maps:values(Value)])];
parts(Value) when is_tuple(Value), Value =/= {} -> [Value | lists:append([parts(V) || V <- tuple_to_list(Value)])];
parts([_ | _] = Value) ->
    case text(Value) of
        {ok, _} -> [Value];
        none -> [Value | parts_of_list(Value)]
    end;
parts(_Other) -> [].

parts_of_list([Head | Tail]) -> parts(Head) ++ parts_of_list(Tail);
parts_of_list(Tail) -> parts(Tail).

walk(Term, Options, {Values, Texts} = Hidden) ->
    case is_map_key(Term, Values) orelse is_part(text(Term), Texts) of
        true -> ?NOT_SHOWN;
        false -> walk_into(Term, Options, Hidden)
    end.

walk_into({Key, Value}, Options, Hidden) ->
    {walk(Key, Options, Hidden), beside(Key, Value, Options, Hidden)};
walk_into(Term, Options, Hidden) when is_tuple(Term) ->
    list_to_tuple([walk(Element, Options, Hidden) || Element <- tuple_to_list(Term)]);
walk_into(Term, Options, Hidden) when is_map(Term) ->
    maps:from_list([{walk(Key, Options, Hidden), beside(Key, Value, Options, Hidden)}
                    || {Key, Value} <- maps:to_list(Term)]);
walk_into([Head | Tail], Options, Hidden) when is_list(Tail) ->
    [walk(Head, Options, Hidden) | walk_into(Tail, Options, Hidden)];
walk_into([Head | Tail], Options, Hidden) ->
    [walk(Head, Options, Hidden) | walk(Tail, Options, Hidden)];
walk_into(Term, _Options, _Hidden) ->
    Term.

beside(Key, Value, Options, Hidden) ->
    case Options of
        #{Key := Value} -> ?NOT_SHOWN;
        #{} -> walk(Value, Options, Hidden)
    end.

is_part(none, _Texts) -> false;
is_part({ok, Text}, Texts) -> lists:any(fun(Part) -> binary:match(Text, Part) =/= nomatch end, Texts).

text(Value) when is_binary(Value) ->
    {ok, Value};
text([_ | _] = Value) ->
    case io_lib:printable_unicode_list(Value) of
        true -> {ok, unicode:characters_to_binary(Value)};
        false -> none
    end;
text(_Other) ->
    none.
