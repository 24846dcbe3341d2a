%% Declarations that the database is complete: domain freshness, as Diego's BBS has it.
%%
%% A domain without a row was removed, or its row was lost: by a restore from a backup, or by an incomplete copy. The table
%% of domains cannot tell which. The program that fills it can, and declares, again and again, that what it holds for a
%% host type is complete, for so many seconds from then on:
%%
%%   ok = mongoose_domain_freshness:upsert(<<"type1">>, 120).
%%
%% The declaration makes the *freshness domain* `type1', which is named after the host type, fresh until it expires. Only
%% while it is fresh may convergence, the comparison of a node's routes with all rows, remove routes of that host type that
%% the database lacks. When the program stops filling the database, the declarations expire, and from then on no route
%% goes without a request.
%%
%% Requests are never held back: an event (a domain deleted or disabled) removes its route from the nodes whether anything
%% is fresh or not, and rows add routes at any time.
%%
%% This module declares and reads. It does not wait until any node has acted on a declaration, and it cannot check whether a
%% declaration is true. A declaration ends by its expiry, and sooner only by one that replaces it. Both times are of the
%% database's clock.
%%
%% Errors, besides `invalid_request', are those of every operation: `{service_disabled, Text}' where service_domain_db does
%% not run, `{db_error, Text}' and `{timeout, Text}', whose texts say whether the declaration may have been made all the
%% same, and `{error, overloaded}'.
-module(mongoose_domain_freshness).

-export([upsert/2, list/0, details/0]).

-include("../base/mongoose_domain_log.hrl").

-export_type([domain/0, ttl/0, details/0, failure/0]).

%% What a host type may be called: UTF-8 of 1 to 250 bytes, none of which is 0. No node needs to know a host type
%% of this name.
-type domain() :: binary().
%% Seconds; 0 is for ever.
-type ttl() :: 0..16#FFFFFFFF.
%% `expire_time' is in nanoseconds since 1970. `seconds_left' is 0 once it is expired and never before.
-type details() :: #{
    domain := domain(),
    state := fresh | expired,
    expire_time := non_neg_integer() | infinity,
    seconds_left := non_neg_integer() | infinity
}.
-type failure() :: mongoose_domain_operations:failure().

%% @doc Declares a freshness domain fresh for so long from now on, in place of what was declared before, be
%% that longer or shorter.
-spec upsert(domain(), ttl()) -> ok | {invalid_request, binary()} | failure().
upsert(Domain, TTL) ->
    case {is_domain(Domain), is_ttl(TTL)} of
        {true, true} -> ask({upsert_freshness, Domain, TTL}, fun(ok) -> declared(Domain, TTL) end);
        {false, _} -> {invalid_request, <<"Invalid field: domain">>};
        {true, false} -> {invalid_request, <<"Invalid field: ttl">>}
    end.

%% Logged, since a client that leaves the ttl out, or rounds a short one down, sends 0 by mistake.
declared(Domain, 0) ->
    ?LOG_NOTICE(#{what => domain_freshness_for_ever, domain => Domain});
declared(_Domain, _TTL) ->
    ok.

%% @doc The freshness domains that are fresh, in the order of their bytes.
-spec list() -> {ok, [domain()]} | failure().
list() ->
    ask(freshness, fun(All) -> {ok, [Domain || {Domain, _ExpireTime, Expiry} <- All, Expiry =/= past]} end).

%% @doc All freshness domains that were ever declared, the expired ones too, in the same order.
-spec details() -> {ok, [details()]} | failure().
details() ->
    ask(freshness, fun(All) -> {ok, [details(Freshness) || Freshness <- All]} end).

-spec details(mongoose_domain_nif:freshness()) -> details().
details({Domain, _ExpireTime, infinity}) ->
    #{domain => Domain, state => fresh, expire_time => infinity, seconds_left => infinity};
details({Domain, ExpireTime, {in, Seconds}}) ->
    #{domain => Domain, state => fresh, expire_time => ExpireTime, seconds_left => Seconds};
details({Domain, ExpireTime, past}) ->
    %% A number below 0, which nothing here writes, is as long ago as can be.
    #{domain => Domain, state => expired, expire_time => max(0, ExpireTime), seconds_left => 0}.

ask(Request, Interpret) ->
    case mongoose_domain_operations:run(Request) of
        {ok, Answer} -> Interpret(Answer);
        Failure -> Failure
    end.

is_domain(Domain) ->
    is_binary(Domain) andalso mongoose_domain_nif:check_host_type(Domain) =:= ok.

is_ttl(TTL) ->
    is_integer(TTL) andalso TTL >= 0 andalso TTL =< 16#FFFFFFFF.
