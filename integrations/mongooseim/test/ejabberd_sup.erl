%% A stand-in for MongooseIM's supervisor: pg's scope first, mongoose_domain_sup among the later ones. A start that fails is
%% tried again once, so a restart has to succeed.
-module(ejabberd_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => one_for_one, intensity => 1, period => 1},
          [#{id => mim_scope, start => {pg, start_link, [mim_scope]}},
           #{id => mongoose_domain_sup, start => {mongoose_domain_sup, start_link, []}, type => supervisor,
             shutdown => infinity}]}}.
