%% A module of a host type: the tenants' files, which users reach at the subdomain `files.' of each tenant.
%%
%% It registers one pattern for all tenants of the host type. handle_request/4 gets the requests to such a subdomain.
%% When a tenant is removed, its files are deleted before the row of its domain.
-module(filebox_files).
-behaviour(mongoose_domain_module).

-export([start/2, stop/1, deps/2, supported_features/0, remove_domain/2]).
-export([handle_request/4]).

-type host_type() :: mongoose_domain_core:host_type().
-type domain() :: mongoose_domain_core:domain().

-define(TEMPLATE, <<"files.@HOST@">>).

-spec start(host_type(), map()) -> ok.
start(HostType, _Options) ->
    %% The router adds the host type to this map and passes it to handle_request/4.
    ok = mongoose_domain_api:register_subdomain(HostType, pattern(), {?MODULE, #{}}).

-spec stop(host_type()) -> ok.
stop(HostType) ->
    mongoose_domain_api:unregister_subdomain(HostType, pattern()).

-spec deps(host_type(), map()) -> [mongoose_domain_module:dependency()].
deps(_HostType, Options) ->
    [{filebox_quota, maps:with([max_bytes], Options), hard}, {service, filebox_db}].

-spec supported_features() -> [atom()].
supported_features() ->
    [dynamic_domains].

%% @doc Deletes the files of a tenant that is being removed.
-spec remove_domain(host_type(), domain()) -> ok | {error, string()}.
remove_domain(_HostType, Domain) ->
    done(filebox_db:query("DELETE FROM filebox_files WHERE domain = ?", [Domain])).

pattern() ->
    mongoose_subdomain_utils:make_subdomain_pattern(?TEMPLATE).

%% @doc The response to a request to a tenant's subdomain.
-spec handle_request(binary(), [binary()], domain(), #{host_type := host_type(), atom() => term()}) -> iodata().
handle_request(<<"PUT">>, [Rest], Domain, #{host_type := HostType}) ->
    case string:split(Rest, " ") of
        [Name, Content] when Name =/= <<>> -> answer(put_file(HostType, Domain, Name, Content));
        _ -> "ERROR say PUT name content"
    end;
handle_request(<<"GET">>, [Name], Domain, _Extra) ->
    case content(Domain, Name) of
        {ok, Content} -> ["OK ", Content];
        {error, Reason} -> ["ERROR ", Reason]
    end;
handle_request(<<"DELETE">>, [Name], Domain, _Extra) ->
    answer(delete_file(Domain, Name));
handle_request(<<"LIST">>, [], Domain, _Extra) ->
    case filebox_db:query("SELECT name FROM filebox_files WHERE domain = ? ORDER BY name", [Domain]) of
        {ok, Rows} -> ["OK" | [[" ", Name] || {Name} <- Rows]];
        {error, Reason} -> ["ERROR ", Reason]
    end;
handle_request(_Command, _Rest, _Domain, _Extra) ->
    "ERROR unknown command: PUT name content, GET name, DELETE name, LIST".

answer(ok) -> "OK";
answer({error, Reason}) -> ["ERROR ", Reason].

%% Replaces an existing file of that name.
put_file(HostType, Domain, Name, Content) ->
    Upsert = "INSERT INTO filebox_files (domain, name, content) VALUES (?, ?, ?) "
             "ON CONFLICT (domain, name) DO UPDATE SET content = excluded.content",
    case filebox_quota:keep(HostType, Domain, Name, byte_size(Content)) of
        ok -> done(filebox_db:query(Upsert, [Domain, Name, Content]));
        {error, Reason} -> {error, Reason}
    end.

delete_file(Domain, Name) ->
    case filebox_db:query("DELETE FROM filebox_files WHERE domain = ? AND name = ?", [Domain, Name]) of
        {ok, 1} -> filebox_quota:forget(Domain, Name);
        {ok, 0} -> {error, "no such file"};
        {error, Reason} -> {error, Reason}
    end.

done({ok, _Count}) -> ok;
done({error, Reason}) -> {error, Reason}.

content(Domain, Name) ->
    case filebox_db:query("SELECT content FROM filebox_files WHERE domain = ? AND name = ?", [Domain, Name]) of
        {ok, [{Content}]} -> {ok, Content};
        {ok, []} -> {error, "no such file"};
        {error, Reason} -> {error, Reason}
    end.
