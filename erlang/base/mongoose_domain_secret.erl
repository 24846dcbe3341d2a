%% Reads secrets (passwords, the database's URL) from where the configuration keeps them: a text, `{env, Name}' or
%% `{file, Path}'. No problem shows a secret.
-module(mongoose_domain_secret).

-export([read/3, check_place/2, source/2, encoded/1]).

-export_type([t/0, text/0]).

-type t() :: unicode:chardata() | {env, text()} | {file, file:filename_all() | atom()}.
-type text() :: unicode:chardata() | atom().
-type path() :: mongoose_domain_config_problem:path().

%% @doc The secret as UTF-8. What says what it is, for a problem. Throws `{wrong, Problem}'.
-spec read(path(), t() | term(), What :: string()) -> binary().
read(Key, {env, Name}, What) ->
    case os:getenv(variable(Key, Name)) of
        false -> mongoose_domain_config_problem:wrong(Key, {env, Name}, "an environment variable that is set");
        Value -> text(Key, string:trim(Value), {env, Name}, What)
    end;
read(Key, {file, Path}, What) ->
    case file:read_file(filename(Key, Path)) of
        {ok, Text} -> text(Key, string:trim(Text), {file, Path}, What);
        {error, Reason} ->
            Expected = ["a file that can be read: ", file:format_error(Reason)],
            mongoose_domain_config_problem:wrong(Key, {file, Path}, Expected)
    end;
read(Key, Text, What) ->
    text(Key, Text, mongoose_domain_config_problem:not_shown(), What).

text(Key, Text, Shown, What) ->
    try unicode:characters_to_binary(Text) of
        Secret when is_binary(Secret), Secret =/= <<>> -> Secret;
        _ -> no_text(Key, Shown, What)
    catch
        error:badarg -> no_text(Key, Shown, What)
    end.

-spec no_text(path(), term(), string()) -> no_return().
no_text(Key, Shown, What) ->
    mongoose_domain_config_problem:wrong(Key, Shown, [What, " as UTF-8 text, and not an empty one"]).

%% @doc Checks that the name of the variable or of the file can be one, without reading the secret. Throws
%% `{wrong, Problem}'.
-spec check_place(path(), {env | file, term()}) -> ok.
check_place(Key, {env, Name}) ->
    _ = variable(Key, Name),
    ok;
check_place(Key, {file, Path}) ->
    _ = filename(Key, Path),
    ok.

%% @doc Where native code reads the secret. Throws `{wrong, Problem}'.
-spec source(path(), t()) -> {env | file, binary()} | text.
source(Key, {env, Name}) ->
    {env, unicode:characters_to_binary(variable(Key, Name))};
source(Key, {file, Path}) ->
    {ok, Bytes} = encoded(filename(Key, Path)),
    {file, Bytes};
source(_Key, _Text) ->
    text.

%% What makes no sense as a name may be the secret itself, so a problem does not show it.
variable(Key, Name) ->
    case mongoose_domain_text:read(Name) of
        {ok, Text} ->
            binary:match(Text, [<<"=">>, <<0>>]) =:= nomatch orelse wrong_variable(Key),
            unicode:characters_to_list(Text);
        error -> wrong_variable(Key)
    end.

-spec wrong_variable(path()) -> no_return().
wrong_variable(Key) ->
    Shown = {env, mongoose_domain_config_problem:not_shown()},
    mongoose_domain_config_problem:wrong(Key, Shown, "the name of an environment variable").

filename(Key, Path) ->
    case mongoose_domain_text:filename(Path) of
        {ok, Name} -> Name;
        error ->
            Shown = {file, mongoose_domain_config_problem:not_shown()},
            mongoose_domain_config_problem:wrong(Key, Shown, "the name of a file")
    end.

%% @doc The name of a file in the bytes that the system knows it by.
-spec encoded(file:filename_all()) -> {ok, binary()} | error.
encoded(Name) when is_binary(Name) ->
    {ok, Name};
encoded(Name) ->
    case unicode:characters_to_binary(Name, unicode, file:native_name_encoding()) of
        Bytes when is_binary(Bytes) -> {ok, Bytes};
        _ -> error
    end.
