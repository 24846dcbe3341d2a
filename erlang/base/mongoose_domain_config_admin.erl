%% What the admin program gets of the map `admin', and the rules between its keys.
-module(mongoose_domain_config_admin).

-export([check/1]).

-export_type([t/0]).

%% It holds a password, so no process keeps it and no log shows it.
-type t() :: #{
    ip := binary(),
    port := inet:port_number(),
    credentials := #{username := binary(), password := binary()} | undefined,
    tls := #{certificate | key := binary(), client_ca := binary() | undefined, client_certificate := optional | required,
             allowed_names := [binary()] | undefined} | undefined,
    host_names := [binary()],
    allowed_origins := [binary()],
    keep_alive := Milliseconds :: pos_integer(),
    ask := #{ip := binary(), port := inet:port_number()} | undefined
}.

%% @doc What the program gets, of values that are right each by itself. Throws `{wrong, Problem}'.
-spec check(#{atom() => term()}) -> t().
check(#{unprotected := Unprotected} = Values) ->
    Others = maps:without([username, password, unprotected], Values),
    Admin = Others#{credentials => credentials(Values)},
    ok = check_protection(Unprotected, Admin),
    Admin.

credentials(#{username := undefined, password := undefined}) ->
    undefined;
credentials(#{password := undefined}) ->
    wrong([admin, password], undefined, "a password beside the user name: both, or neither");
credentials(#{username := undefined}) ->
    wrong([admin, username], undefined, "a user name beside the password: both, or neither");
credentials(#{username := Username, password := Password}) ->
    #{username => Username, password => Password}.

%% A door that other machines reach and everybody may use needs an explicit word.
check_protection(anyone_may_change_domains, _Admin) ->
    ok;
check_protection(undefined, #{ip := Ip, credentials := Credentials, tls := Tls}) ->
    Protected = is_loopback(Ip) orelse (Credentials =/= undefined andalso Tls =/= undefined),
    Protected orelse wrong([admin, ip], Ip, "a loopback address; or username, password and tls beside it; or "
                                            "unprotected => anyone_may_change_domains, which means what it says"),
    ok.

is_loopback(Ip) ->
    case inet:parse_strict_address(binary_to_list(Ip)) of
        {ok, {127, _, _, _}} -> true;
        {ok, {0, 0, 0, 0, 0, 0, 0, 1}} -> true;
        {ok, {0, 0, 0, 0, 0, 16#FFFF, High, _}} -> High bsr 8 =:= 127;
        {ok, _} -> false
    end.

-spec wrong([atom()], term(), string()) -> no_return().
wrong(Path, Shown, Expected) ->
    mongoose_domain_config_problem:wrong(Path, Shown, Expected).
