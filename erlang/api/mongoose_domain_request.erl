%% Requests to the database for one domain: what is checked before them, and the errors that several functions of
%% mongoose_domain_api share.
%%
%% The rules need no database. They are checked in MongooseIM's order, because a client gets the first error alone.
-module(mongoose_domain_request).

-export([run/2, run/4, check/2, rules/1]).
-export([repeated/2, not_found/0, not_served/0, unknown_host_type/0]).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type error() :: {atom(), binary()}.
%% `valid': the name is one; `dynamic': it is no static domain; `allowed': dynamic domains may have this host type;
%% `served': this node serves the domain or subdomain.
-type rule() :: valid | dynamic | {allowed, host_type()} | served.

%% @doc What Interpret makes of the answer to this request, or the failure of the request.
-spec run(mongoose_domain_nif:request(), fun((term()) -> Result)) -> Result | mongoose_domain_operations:failure().
run(Request, Interpret) ->
    case mongoose_domain_operations:run(Request) of
        {ok, Answer} -> Interpret(Answer);
        Failure -> mongoose_domain_integration:answer(any_other, Failure)
    end.

%% @doc The same for a request about a domain that obeys the rules; else the error of the first rule that it breaks.
-spec run([rule()], domain(), mongoose_domain_nif:request(), fun((term()) -> Result)) ->
    Result | error() | mongoose_domain_operations:failure().
run(Rules, Domain, Request, Interpret) ->
    case check(Rules, Domain) of
        ok -> run(Request, Interpret);
        Error -> Error
    end.

%% @doc The error of the first rule that the domain breaks.
-spec check([rule()], domain()) -> ok | error().
check([], _Domain) ->
    ok;
check([Rule | Rules], Domain) ->
    case obeys(Rule, Domain) of
        ok -> check(Rules, Domain);
        Error -> Error
    end.

%% @doc The rules for a domain that is to have this host type.
-spec rules(host_type()) -> [rule()].
rules(HostType) ->
    [valid, dynamic, {allowed, HostType}].

obeys(valid, Domain) ->
    case mongoose_domain_nif:check_domain(Domain) of
        ok -> ok;
        {error, Text} -> {invalid_domain, Text}
    end;
obeys(dynamic, Domain) ->
    case mongoose_domain_core:is_static(Domain) of
        false -> ok;
        true -> {static, <<"Domain is static">>}
    end;
obeys({allowed, HostType}, _Domain) ->
    case mongoose_domain_core:is_host_type_allowed(HostType) of
        true -> ok;
        false -> unknown_host_type()
    end;
obeys(served, Domain) ->
    case mongoose_domain_results:at(mongoose_domain_nif:lookup(Domain)) of
        {ok, _HostType} -> ok;
        {error, not_found} -> not_served()
    end.

%% @doc The result of a change that is made already.
-spec repeated(Result, Error) -> {ok, Result} | Error.
repeated(Result, Error) ->
    case mongoose_domain_config:repeated_operations() of
        ok -> {ok, Result};
        error -> Error
    end.

-spec not_found() -> error().
not_found() -> {not_found, <<"Given domain does not exist">>}.

-spec not_served() -> error().
not_served() -> {not_found, <<"Given domain does not exist or is disabled">>}.

-spec unknown_host_type() -> error().
unknown_host_type() -> {unknown_host_type, <<"Unknown host type">>}.
