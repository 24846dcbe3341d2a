%% Defines each key of the configuration: its type, its unit and its default.
%%
%% This is the only place. The checks and the defaults are made from these rows, and a test compares them with the tables
%% in docs/configuration.md. To add a key, add its row here and its line there.
-module(mongoose_domain_config_keys).

-export([keys/1, default/2]).

-export_type([section/0, type/0, row/0]).

%% The environment of the application, or a map in it.
-type section() :: application | service_domain_db | admin | tls | ask.
-type row() :: {Key :: atom(), type(), unit(), Default :: term() | required}.
-type unit() :: none | ms | s.
%% What mongoose_domain_config_check makes of a value says which values a type has.
-type type() ::
    {integer, Min :: integer(), Max :: integer()}
    | {one_of, [atom(), ...]}
    | integration | boolean | share | text | texts | user_name | host_names | address | port | pem_file
    | secret | database | directory | router | hosts | host_types
    | services | modules | removal_handlers | subdomains
    | {map, section()}.

-define(TIME, {integer, 1, 16#FFFFFFFF}).

%% @doc The keys of a section, in the order in which they are checked.
-spec keys(section()) -> [row(), ...].
keys(application) ->
    [{hosts, hosts, none, []},
     {host_types, host_types, none, []},
     {data_dir, directory, none, undefined},
     {repeated_operations, {one_of, [ok, error]}, none, ok},
     {router, router, none, mongoose_domain_router_table},
     {service_domain_db, {map, service_domain_db}, none, disabled},
     {services, services, none, #{}},
     {modules, modules, none, #{}},
     {removal_handlers, removal_handlers, none, #{}},
     {subdomains, subdomains, none, #{}},
     {admin, {map, admin}, none, closed},
     {integration, integration, none, none}];
keys(service_domain_db) ->
    [{database, database, none, required},
     {poll_interval, ?TIME, ms, 30000},
     {look_interval, ?TIME, ms, 200},
     {converge_interval, ?TIME, ms, 300000},
     {convergence_gate, {one_of, [off, on_loss, always]}, none, on_loss},
     {max_removal_share, share, none, 0.5},
     {event_cleaning_interval, ?TIME, s, 1800},
     {event_max_age, ?TIME, s, 7200},
     {warm_start, boolean, none, true},
     {snapshot_interval, ?TIME, ms, 300000},
     {snapshot_max_age, ?TIME, s, 604800},
     {connect_timeout, ?TIME, ms, 5000},
     {statement_timeout, ?TIME, ms, 30000},
     {lock_timeout, ?TIME, ms, 5000},
     {first_load_timeout, {integer, 0, 16#FFFFFFFF}, ms, 0},
     {pool_size, {integer, 1, 1000}, none, 4},
     {queue_limit, {integer, 1, 1000000}, none, 1000},
     {operation_timeout, ?TIME, ms, 5000},
     {visibility_timeout, ?TIME, ms, 3000},
     %% A stored password with more iterations counts as corrupt.
     {password_iterations, {integer, 1, 10000000}, none, 10000},
     {removal_lease, ?TIME, ms, 30000}];
keys(admin) ->
    [{ip, address, none, <<"127.0.0.1">>},
     {port, port, none, 8088},
     {username, user_name, none, undefined},
     {password, secret, none, undefined},
     {tls, {map, tls}, none, undefined},
     {host_names, host_names, none, []},
     {allowed_origins, texts, none, []},
     {ask, {map, ask}, none, undefined},
     {keep_alive, ?TIME, ms, 75000},
     {unprotected, {one_of, [anyone_may_change_domains]}, none, undefined}];
keys(tls) ->
    [{certificate, pem_file, none, required},
     {key, pem_file, none, required},
     {client_ca, pem_file, none, undefined},
     {client_certificate, {one_of, [optional, required]}, none, optional},
     {allowed_names, texts, none, undefined}];
keys(ask) ->
    [{ip, address, none, <<"127.0.0.1">>},
     {port, port, none, 8089}].

%% @doc The default of a key.
-spec default(section(), atom()) -> term().
default(Section, Key) ->
    {Key, _Type, _Unit, Default} = lists:keyfind(Key, 1, keys(Section)),
    Default.
