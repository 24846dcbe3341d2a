%% The passwords of domains' admins.
-module(mongoose_domain_password).

-export([set/2, check/2, delete/1]).

-include("../base/mongoose_domain_log.hrl").

-type domain() :: mongoose_domain_core:domain().

%% @doc What mongoose_domain_api:set_domain_password/2 returns.
-spec set(domain(), Password :: binary()) -> {ok, binary()} | mongoose_domain_api:error().
set(Domain, Password) ->
    case is_utf8(Password) of
        true -> set_utf8_password(Domain, Password);
        false ->
            case mongoose_domain_request:check([valid, served], Domain) of
                ok -> invalid_password();
                Error -> Error
            end
    end.

set_utf8_password(Domain, Password) ->
    mongoose_domain_request:run([valid, served], Domain, {put_password, Domain, Password}, fun
        (ok) -> {ok, <<"Domain password set successfully">>};
        (not_found) -> mongoose_domain_request:not_served();
        (invalid_password) -> invalid_password()
    end).

%% badarg instead of function_clause, which would show the password.
is_utf8(Password) when is_binary(Password) -> unicode:characters_to_binary(Password) =:= Password;
is_utf8(_Other) -> error(badarg).

%% @doc What mongoose_domain_api:check_domain_password/2 returns where there is no integration.
-spec check(domain(), Password :: binary()) ->
    ok | {error, wrong_password | not_found} | mongoose_domain_operations:failure().
check(Domain, Password) ->
    %% No password is stored that is not UTF-8. The request is made all the same, to know whether there is one.
    {Comparable, Right} = case is_utf8(Password) of
        true -> {Password, ok};
        false -> {<<"no UTF-8">>, {error, wrong_password}}
    end,
    case mongoose_domain_request:check([valid], Domain) of
        ok -> compare(Domain, Comparable, Right);
        {invalid_domain, _Text} -> {error, not_found}
    end.

compare(Domain, Comparable, Right) ->
    case mongoose_domain_operations:run({check_password, Domain, Comparable}) of
        {ok, right} -> Right;
        {ok, wrong} -> {error, wrong_password};
        {ok, not_found} -> {error, not_found};
        {ok, corrupt} ->
            ?LOG_WARNING(#{what => scram_serialisation_corrupted, domain => Domain}),
            {error, wrong_password};
        Failure -> Failure
    end.

%% @doc What mongoose_domain_api:delete_domain_password/1 returns.
-spec delete(domain()) -> {ok, binary()} | mongoose_domain_api:error().
delete(Domain) ->
    mongoose_domain_request:run([valid], Domain, {delete_password, Domain}, fun
        (ok) -> {ok, <<"Domain password deleted successfully">>};
        (not_found) -> {not_found, <<"Domain password does not exist">>}
    end).

invalid_password() -> {invalid_password, <<"The password has characters that none may have">>}.
