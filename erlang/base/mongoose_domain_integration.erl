%% The behaviour of what puts this application into another server's release, and the calls of it.
%%
%% Such a server has a supervisor start mongoose_domain_sup, and has this application loaded and not started: nothing of
%% sys.config but the key `integration' need be written for it, since the module that the key names takes the rest from the
%% server's own configuration. integrations/mongooseim is one for MongooseIM.
%%
%%   [{mongoose_domain, [{integration, my_integration}]}].
%%
%%   -module(my_integration).
%%   -behaviour(mongoose_domain_integration).
%%   environment() -> #{host_types => my_config:tenants(), router => my_router}.
%%   started() -> ….                                       register what belongs to each start
%%
%% Only mongoose_domain_sup:start_link/0 asks for an environment and calls started/0: a start of the application by OTP does
%% neither. Every callback but environment/0 may be missing.
-module(mongoose_domain_integration).

-export([fill_environment/0, started/0, service_options/1, database_url/1, answer/2]).

-export_type([call/0]).

%% Which call a request failed in: those whose callers know few answers have a name.
-type call() :: check_domain_password | get_all_domains | any_other.

%% Values for keys of this application's environment, which replace those that are there. Called before each start.
-callback environment() -> #{Key :: atom() => Value :: term()}.
%% Called when the processes run, and before the admin program starts. Called again for each restart.
-callback started() -> ok.
%% The options of service_domain_db:start/1 as this application knows them.
-callback service_options(map()) -> map().
%% The URL behind `database => {pool, Pool}'. Neither the text nor an exception may show a password.
-callback database_url(Pool :: atom()) -> {ok, unicode:chardata()} | {error, Why :: unicode:chardata()}.
%% What a call answers instead of this failure of its request.
-callback answer(call(), mongoose_domain_operations:failure()) -> term().

-optional_callbacks([started/0, service_options/1, database_url/1, answer/2]).

%% @doc Writes the environment that the integration has.
-spec fill_environment() -> ok.
fill_environment() ->
    maps:foreach(fun(Key, Value) -> ok = application:set_env(mongoose_domain, Key, Value) end,
                 call(environment, [], #{})).

%% @doc Tells the integration that the processes run.
-spec started() -> ok.
started() ->
    call(started, [], ok).

%% @doc The options of the service, as this application knows them.
-spec service_options(map()) -> map().
service_options(Options) ->
    call(service_options, [Options], Options).

%% @doc The URL of a pool's database. No exception comes from here: its stack could show a password.
-spec database_url(atom()) -> {ok, unicode:chardata()} | {error, unicode:chardata()}.
database_url(Pool) ->
    try
        call(database_url, [Pool], {error, "a pool is known where the key integration names a module that has pools"})
    catch
        _:_ -> {error, "a pool that the integration's database_url/1 can read: it failed"}
    end.

%% @doc What the call answers whose request failed so.
-spec answer(call(), mongoose_domain_operations:failure()) -> term().
answer(Call, Failure) ->
    call(answer, [Call, Failure], Failure).

call(Function, Args, Otherwise) ->
    case module() of
        none -> Otherwise;
        Module ->
            case erlang:function_exported(Module, Function, length(Args)) of
                true -> apply(Module, Function, Args);
                false -> Otherwise
            end
    end.

module() ->
    Module = application:get_env(mongoose_domain, integration, none),
    case mongoose_domain_text:is_absent(Module) of
        true -> none;
        false ->
            %% One that cannot be loaded is a problem that mongoose_domain_config finds.
            _ = Module =:= none orelse code:ensure_loaded(Module),
            Module
    end.
