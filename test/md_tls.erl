%% Certificate authorities for tests, and what they make out, as PEM files and as options of a client.
%%
%%   Authority = md_tls:authority("an authority"),
%%   Files = md_tls:write(Dir, "server", md_tls:issue(Authority, [{dNSName, "localhost"}])),
%%   Client = md_tls:client(md_tls:issue(Authority, [{dNSName, "client.example"}]), Authority).
-module(md_tls).

-export([authority/1, issue/2, write/3, write_authority/3, client/1, client/2]).

-export_type([authority/0, issued/0, files/0]).

-include_lib("public_key/include/public_key.hrl").

-opaque authority() :: #{cert := binary(), key := tuple()}.
-opaque issued() :: #{cert := binary(), key := {atom(), binary()}}.
-type files() :: #{certificate := file:filename(), key := file:filename()}.

%% @doc An authority with a key of its own.
-spec authority(string()) -> authority().
authority(Name) ->
    public_key:pkix_test_root_cert(Name, strong()).

%% @doc A certificate for these alternative names, such as `{dNSName, "a.example"}'; its subject is "server Peer
%% cert" for all.
-spec issue(authority(), [{atom(), iodata()}]) -> issued().
issue(Authority, Names) ->
    Extension = #'Extension'{extnID = ?'id-ce-subjectAltName', extnValue = Names, critical = false},
    Peer = [{extensions, [Extension || Names =/= []]} | strong()],
    Data = public_key:pkix_test_data(#{root => Authority, intermediates => [], peer => Peer}),
    #{cert => proplists:get_value(cert, Data), key => proplists:get_value(key, Data)}.

strong() ->
    [{digest, sha256}, {key, {rsa, 2048, 65537}}].

%% @doc Writes the certificate and its key to files with this name.
-spec write(file:filename(), string(), issued()) -> files().
write(Dir, Name, #{cert := Certificate, key := {Type, Key}}) ->
    Files = #{certificate => filename:join(Dir, Name ++ ".pem"), key => filename:join(Dir, Name ++ ".key")},
    ok = pem(map_get(certificate, Files), {'Certificate', Certificate, not_encrypted}),
    ok = pem(map_get(key, Files), {Type, Key, not_encrypted}),
    Files.

%% @doc Writes the authority's certificate.
-spec write_authority(file:filename(), string(), authority()) -> file:filename().
write_authority(Dir, Name, #{cert := Certificate}) ->
    File = filename:join(Dir, Name ++ ".pem"),
    ok = pem(File, {'Certificate', Certificate, not_encrypted}),
    File.

%% Beside the old file and then renamed, as tools do that renew certificates.
pem(File, Entry) ->
    ok = file:write_file(File ++ ".new", public_key:pem_encode([Entry])),
    file:rename(File ++ ".new", File).

%% @doc The options of a client that trusts this authority, and shows nothing.
-spec client(authority()) -> [ssl:tls_client_option()].
client(#{cert := Root}) ->
    [{verify, verify_peer}, {cacerts, [Root]}, {server_name_indication, "localhost"}, {log_level, none}].

%% @doc The options of one that shows this certificate.
-spec client(authority(), issued()) -> [ssl:tls_client_option()].
client(Authority, #{cert := Certificate, key := Key}) ->
    [{cert, Certificate}, {key, Key} | client(Authority)].
