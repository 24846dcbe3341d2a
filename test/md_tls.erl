%% Certificate authorities for tests, and the certificates that they issue, as PEM files and as options of a client.
%%
%%   Authority = md_tls:authority("an authority"),
%%   Files = md_tls:write(Dir, "server", md_tls:issue(Authority, [{dNSName, "localhost"}])),
%%   Client = md_tls:client(md_tls:issue(Authority, [{dNSName, "client.example"}]), Authority).
-module(md_tls).

-export([authority/1, issue/2, write/3, write_authority/3, client/1, client/2]).

-export_type([authority/0, issued/0, files/0]).

-opaque authority() :: #{cert := binary(), key := {atom(), binary()}}.
-opaque issued() :: #{cert := binary(), key := {atom(), binary()}}.
-type files() :: #{certificate := file:filename(), key := file:filename()}.

%% @doc Creates an authority with a new key.
-spec authority(string()) -> authority().
authority(Name) ->
    made(["openssl req -x509 -new -key made.key -subj '/CN=", Name, "' -days 7 -out made.crt"], []).

%% @doc Issues a certificate for these alternative names, such as `{dNSName, "a.example"}'. The subject of each is
%% "server Peer cert".
-spec issue(authority(), [{atom(), iodata()}]) -> issued().
issue(#{cert := Root, key := {Type, Key}}, Names) ->
    Alternatives = [["subjectAltName=", lists:join($,, lists:map(fun name/1, Names))] || Names =/= []],
    made("openssl req -new -key made.key -subj '/CN=server Peer cert' -out request && "
         "openssl x509 -req -in request -CA root.crt -CAkey root.key -days 7 -extfile said -out made.crt",
         [{"root.crt", public_key:pem_encode([{'Certificate', Root, not_encrypted}])},
          {"root.key", public_key:pem_encode([{Type, Key, not_encrypted}])},
          {"said", ["keyUsage=digitalSignature\n" | Alternatives]}]).

name({dNSName, Name}) -> ["DNS:", Name];
name({rfc822Name, Name}) -> ["email:", Name];
name({uniformResourceIdentifier, Name}) -> ["URI:", Name];
name({iPAddress, <<A, B, C, D>>}) -> ["IP:", inet:ntoa({A, B, C, D})];
name({iPAddress, Bytes}) -> ["IP:", inet:ntoa(list_to_tuple([Part || <<Part:16>> <= Bytes]))].

%% Runs the commands in a temporary directory with these files and returns the key and the certificate. OpenSSL makes
%% them, since OTP's own test data violate X.509: OTP 27 adds parameters to ECDSA signatures, and 29 omits those of RSA
%% keys.
made(Commands, Files) ->
    Name = lists:concat(["md_tls-", os:getpid(), "-", erlang:unique_integer([positive])]),
    Directory = filename:join(os:getenv("TMPDIR", "/tmp"), Name),
    ok = file:make_dir(Directory),
    try
        [ok = file:write_file(filename:join(Directory, File), Content) || {File, Content} <- Files],
        Said = os:cmd(lists:flatten(["cd '", Directory, "' && openssl genrsa -traditional -out made.key 2048 && ", Commands])),
        {'Certificate', Certificate} = entry(Directory, "made.crt", Said),
        #{cert => Certificate, key => entry(Directory, "made.key", Said)}
    after
        ok = file:del_dir_r(Directory)
    end.

entry(Directory, File, Said) ->
    case file:read_file(filename:join(Directory, File)) of
        {ok, Text} ->
            [{Type, Der, not_encrypted}] = public_key:pem_decode(Text),
            {Type, Der};
        {error, enoent} ->
            erlang:error({openssl, Said})
    end.

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

%% Written beside the old file and then renamed, as tools that renew certificates do.
pem(File, Entry) ->
    ok = file:write_file(File ++ ".new", public_key:pem_encode([Entry])),
    file:rename(File ++ ".new", File).

%% @doc The options of a client that trusts this authority and has no certificate.
-spec client(authority()) -> [ssl:tls_client_option()].
client(#{cert := Root}) ->
    [{verify, verify_peer}, {cacerts, [Root]}, {server_name_indication, "localhost"}, {log_level, none}].

%% @doc The options of a client with this certificate.
-spec client(authority(), issued()) -> [ssl:tls_client_option()].
client(Authority, #{cert := Certificate, key := Key}) ->
    [{cert, Certificate}, {key, Key} | client(Authority)].
