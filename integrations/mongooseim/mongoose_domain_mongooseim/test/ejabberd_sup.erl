%% A stand-in for MongooseIM's supervisor: pg's scope first, mongoose_domain_sup among the later ones. It records each start
%% of that child as a call (see mim), so that a test knows how many were needed.
-module(ejabberd_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).
-export([start_domains/0]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => one_for_one, intensity => 3, period => 1},
          [#{id => mim_scope, start => {pg, start_link, [mim_scope]}},
           #{id => mongoose_domain_sup, start => {?MODULE, start_domains, []}, type => supervisor,
             shutdown => infinity}]}}.

%% @private
-spec start_domains() -> supervisor:startlink_ret().
start_domains() ->
    ok = mim:called(?MODULE, start_domains, []),
    mongoose_domain_sup:start_link().
