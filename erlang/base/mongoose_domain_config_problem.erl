%% What is wrong with a value of the configuration, without a secret that it may hold.
-module(mongoose_domain_config_problem).

-export([wrong/3, shown/1, not_shown/0]).

-export_type([t/0, path/0]).

%% The key and the keys of the maps around it, the outermost first.
-type path() :: atom() | [atom() | binary()].
-type t() :: #{key := path(), value := term(), expected := unicode:chardata()}.

-define(NOT_SHOWN, '(not shown, it may hold a password)').

%% @doc Throws the problem: functions that check a value return it or throw.
-spec wrong(path(), Shown :: term(), Expected :: unicode:chardata()) -> no_return().
wrong(Path, Shown, Expected) ->
    throw({wrong, #{key => Path, value => Shown, expected => unicode:characters_to_binary(Expected)}}).

%% @doc What a problem shows of a value. A text in the place of another type may be a URL with a password.
-spec shown(term()) -> term().
shown(Value) when is_number(Value); is_atom(Value) -> Value;
shown(Value) ->
    Text = try unicode:characters_to_list(Value) catch error:badarg -> not_text end,
    case io_lib:printable_unicode_list(Text) andalso string:find(Text, "://") =:= nomatch of
        true -> Value;
        false -> ?NOT_SHOWN
    end.

%% @doc What stands for a value that is not shown.
-spec not_shown() -> atom().
not_shown() ->
    ?NOT_SHOWN.
