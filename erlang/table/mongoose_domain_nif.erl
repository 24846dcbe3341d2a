%% Stubs of the native library, and nothing else.
%%
%% This module never changes between releases: a module with NIFs cannot be upgraded in a running
%% VM, so what may need an upgrade lives elsewhere. Call mongoose_domain_core and service_domain_db
%% instead; what these functions promise is said there.
%%
%% The table that they work on is the VM's only one. It outlives every process. While it is closed, what needs it fails
%% with `{not_running, mongoose_domain}'.
-module(mongoose_domain_nif).

-export([lookup/1, lookup_domain/1, is_static/1, is_host_type_allowed/1]).
-export([host_types/0, host_type/1, intern_host_type/1, check_host_type/1, check_domain/1, nameprep/1,
         spellings/1]).
-export([open/2, close/0, insert/3, delete/1, page/3, counts/0]).
-export([counts_by_host_type/0, memory/0, lookups/0, is_open/0, progress/0, latest_follower_status/0]).
-export([register_pattern/2, unregister_pattern/2, unregister_patterns/0, subdomain/1, name_use/1]).
-export([watch/0, take_changes/1]).
-export([follower_start/2, follower_command/2, follower_status/1, reset_progress/0]).
-export([operations_start/2, operations_stop/1, operations_reconnect/1, operation/5]).

-export_type([result_number/0, select/0, follower/0, follower_options/0, order/0, workers/0, request/0, choice/0]).
-export_type([source/0, status/0, settings/0, removal/0, freshness/0, pattern/0]).

-nifs([lookup/1, lookup_domain/1, is_static/1, is_host_type_allowed/1]).
-nifs([host_types/0, host_type/1, intern_host_type/1, check_host_type/1, check_domain/1, nameprep/1,
       spellings/1]).
-nifs([open/2, close/0, insert/3, delete/1, page/3, counts/0]).
-nifs([counts_by_host_type/0, memory/0, lookups/0, is_open/0, progress/0, latest_follower_status/0]).
-nifs([register_pattern/2, unregister_pattern/2, unregister_patterns/0, subdomain/1, name_use/1]).
-nifs([watch/0, take_changes/1]).
-nifs([follower_start/2, follower_command/2, follower_status/1, reset_progress/0]).
-nifs([operations_start/2, operations_stop/1, operations_reconnect/1, operation/5]).

-on_load(load/0).

%% The number of a lookup's result (mongoose_domain_results): 1 for not found, host types from 2 on; 0
%% while the table is closed.
-type result_number() :: non_neg_integer().
%% The begin of a name, with the dot before the domain; or a whole name.
-type pattern() :: {prefix | fqdn, binary()}.
-type select() :: all | static | dynamic | kept | {host_type, binary()} | {outdated, Source :: binary()}.
%% Where the database's URL is read, again for each connection.
-type source() :: {url | file | env, binary()}.
-opaque follower() :: reference().
%% Those of service_domain_db (mongoose_domain_config_keys), and where the file of a warm start is.
-type follower_options() :: #{snapshot_file := binary() | undefined, atom() => term()}.
-type order() :: check | grant | stop | {sync, Ticket :: non_neg_integer()}
    | {find, Ticket :: non_neg_integer(), Event :: integer()} | {converge, Ticket :: non_neg_integer(), gated | force}.
-opaque workers() :: reference().
-type status() :: enabled | disabled | deleting | {unknown, integer()}.
-type settings() :: {HostType :: binary(), status()}.
-type choice() :: #{
    'after' := binary() | undefined,
    host_type := binary() | undefined,
    status := 0..2 | undefined,
    prefix := binary() | undefined
}.
%% Domains have valid names and host types were named on this node, else it is a badarg.
-type request() ::
    {insert, [{binary(), HostType :: binary(), enabled | disabled}]}
    | {set_status, binary(), enabled | disabled}
    | {delete, binary(), HostType :: binary()}
    | {details | delete_password | finish_removal | removal, binary()}
    | {list, choice(), Limit :: pos_integer()}
    | {put_password | check_password, binary(), Password :: binary()}
    | {begin_removal, binary(), HostType :: binary(), Handlers :: non_neg_integer()}
    | {note_removal, binary(), Done :: non_neg_integer(), Of :: non_neg_integer()}
    | {fail_removal, binary(), Why :: binary()}
    | {take_over_removals, Limit :: pos_integer()}
    | renew_removals
    | removals
    %% A freshness domain is named as a host type may be; 0 is for ever.
    | {upsert_freshness, binary(), Seconds :: 0..16#FFFFFFFF}
    | freshness
    | {changes, After :: integer() | undefined, Limit :: pos_integer()}
    | findings
    | survey
    | sequences.
-type removal() :: {
    Domain :: binary(),
    HostType :: binary(),
    running | orphaned | {failed, binary()},
    Owner :: binary() | undefined,
    Done :: non_neg_integer(),
    Of :: non_neg_integer()
}.
%% Nanoseconds since 1970, and what they meant when they were read.
-type freshness() :: {binary(), ExpireTime :: integer(), infinity | {in, Seconds :: pos_integer()} | past}.

%% The only configuration is the number of schedulers: each counts its lookups in a place of its own.
load() ->
    erlang:load_nif(filename:join(priv_dir(), "domain_nif"), erlang:system_info(schedulers)).

%% In a directory that is not called mongoose_domain[-vsn], the code server does not know the
%% application, but priv still lies beside ebin.
priv_dir() ->
    case code:priv_dir(mongoose_domain) of
        {error, bad_name} -> filename:join([filename:dirname(code:which(?MODULE)), "..", "priv"]);
        Dir -> Dir
    end.

-define(STUB, erlang:nif_error({not_loaded, ?MODULE})).

-spec lookup(binary()) -> result_number().
lookup(_Domain) -> ?STUB.

-spec lookup_domain(binary()) -> result_number().
lookup_domain(_Domain) -> ?STUB.

-spec is_static(binary()) -> boolean().
is_static(_Domain) -> ?STUB.

-spec is_host_type_allowed(binary()) -> boolean().
is_host_type_allowed(_HostType) -> ?STUB.

-spec host_types() -> [binary()].
host_types() -> ?STUB.

-spec host_type(result_number()) -> binary().
host_type(_Number) -> ?STUB.

-spec intern_host_type(binary()) -> {ok, result_number()} | {error, binary()}.
intern_host_type(_HostType) -> ?STUB.

-spec check_host_type(binary()) -> ok | {error, binary()}.
check_host_type(_HostType) -> ?STUB.

-spec check_domain(binary()) -> ok | {error, binary()}.
check_domain(_Domain) -> ?STUB.

-spec nameprep(binary()) -> {ok, binary()} | {error, invalid_domain}.
nameprep(_Domain) -> ?STUB.

%% @doc The other ways in which this name is written: labels in Unicode or as `xn--' and Punycode.
-spec spellings(binary()) -> [binary()].
spellings(_Domain) -> ?STUB.

-spec open([{binary(), result_number()}], [result_number()]) -> ok.
open(_Pairs, _Allowed) -> ?STUB.

-spec close() -> ok.
close() -> ?STUB.

-spec insert(binary(), binary(), Source :: binary()) ->
    added | kept | static | unknown_host_type | bad_insert | invalid_domain.
insert(_Domain, _HostType, _Source) -> ?STUB.

-spec delete(binary()) -> removed | absent | static | invalid_domain.
delete(_Domain) -> ?STUB.

-spec page(select(), non_neg_integer(), pos_integer()) -> {non_neg_integer() | done, [{binary(), result_number()}]}.
page(_Select, _From, _Limit) -> ?STUB.

-spec counts() -> {Static :: non_neg_integer(), Dynamic :: non_neg_integer()}.
counts() -> ?STUB.

-spec counts_by_host_type() -> [{HostType :: binary(), Static :: non_neg_integer(), Dynamic :: non_neg_integer()}].
counts_by_host_type() -> ?STUB.

%% Bytes.
-spec memory() -> {Entries :: non_neg_integer(), Index :: non_neg_integer(), ChangeFeed :: non_neg_integer()}.
memory() -> ?STUB.

-spec is_open() -> boolean().
is_open() -> ?STUB.

-spec lookups() -> {Hits :: non_neg_integer(), Misses :: non_neg_integer()}.
lookups() -> ?STUB.

-spec register_pattern(result_number(), pattern()) -> ok.
register_pattern(_HostType, _Pattern) -> ?STUB.

-spec unregister_pattern(result_number(), pattern()) -> ok.
unregister_pattern(_HostType, _Pattern) -> ?STUB.

-spec unregister_patterns() -> ok.
unregister_patterns() -> ?STUB.

-spec subdomain(binary()) -> {result_number(), fqdn | {prefix, Bytes :: pos_integer()}} | not_found.
subdomain(_Name) -> ?STUB.

-spec name_use(binary()) -> {domain | no_domain, Claims :: non_neg_integer()}.
name_use(_Name) -> ?STUB.

-spec watch() -> ok.
watch() -> ?STUB.

-spec take_changes(pos_integer()) -> everything | [{added | removed, result_number(), binary()}].
take_changes(_Limit) -> ?STUB.

-spec progress() -> closed | unloaded | reset | following.
progress() -> ?STUB.

-spec latest_follower_status() -> map() | undefined.
latest_follower_status() -> ?STUB.

-spec follower_start(source(), follower_options()) -> {ok, follower()} | {error, binary()}.
follower_start(_Source, _Options) -> ?STUB.

-spec follower_command(follower(), order()) -> ok.
follower_command(_Follower, _Order) -> ?STUB.

-spec follower_status(follower()) -> map().
follower_status(_Follower) -> ?STUB.

-spec reset_progress() -> ok.
reset_progress() -> ?STUB.

-spec operations_start(source(), map()) -> {ok, workers()} | {error, binary()}.
operations_start(_Source, _Options) -> ?STUB.

-spec operations_reconnect(workers()) -> ok.
operations_reconnect(_Workers) -> ?STUB.

-spec operations_stop(workers()) -> ok.
operations_stop(_Workers) -> ?STUB.

-spec operation(workers(), Ticket :: non_neg_integer(), Milliseconds :: non_neg_integer(), Asker :: pid(), request()) ->
    ok | overloaded.
operation(_Workers, _Ticket, _Limit, _Asker, _Request) -> ?STUB.
