%% A service: something that runs once on a node, for all host types.
%%
%% mongoose_domain_services starts those that the application environment names, and what they need before them:
%%
%%   {services, #{my_mailer => #{port => 25}}}
%%
%%   -module(my_mailer).
%%   -behaviour(mongoose_domain_service).
%%
%%   start(#{port := Port}) ->
%%       mongoose_domain_components_sup:start_child(#{id => my_mailer, start => {my_mailer_server, start_link, [Port]}}).
%%   stop() -> mongoose_domain_components_sup:stop_child(my_mailer).
%%   deps() -> [service_domain_db].
%%   validate(#{port := Port}) when is_integer(Port) -> ok;
%%   validate(_Other) -> {error, "port must be an integer"}.
%%
%% These are the callbacks of MongooseIM's services, so either server can start one. start/1 runs in the process that
%% starts the service: a process that has to outlive it needs a supervisor, its own or mongoose_domain_components_sup.
-module(mongoose_domain_service).

%% It runs when this returns: `{ok, Result}', or any Result. It does not when this fails, or answers {error, Reason}.
-callback start(Options :: map()) -> term().
%% It has stopped when this returns, whatever that is.
-callback stop() -> term().
%% Services that must run before this one. None, where it is not exported.
-callback deps() -> [module()].
%% Whether it can be started with these options. Asked before anything is started or stopped.
-callback validate(Options :: map()) -> ok | {error, Why :: unicode:chardata()}.
%% Options that may hold a secret: mongoose_domain_services:loaded_services_with_opts/0 leaves them out.
-callback secrets() -> [Option :: term()].

-optional_callbacks([deps/0, validate/1, secrets/0]).
