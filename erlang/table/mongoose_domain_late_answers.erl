%% The answers to lookups that mongoose_domain_answers has no literals for: those for host types that are new since that
%% module was made.
%%
%% Each is a persistent term of its own, which is put once and never replaced or erased: that touches no process, however
%% many there are. It is made when it is first asked for, in the process that asks; whoever is about to bring a host
%% type asks before, so that no lookup has to. Two who make the same one put the same.
-module(mongoose_domain_late_answers).

-export([at/1]).

-export_type([answer/0]).

-type answer() :: {ok, mongoose_domain_core:host_type()} | {error, not_found}.

%% @doc The answer at this place. Fails with badarg where no host type has it.
-spec at(mongoose_domain_nif:answer()) -> answer().
at(0) ->
    mongoose_domain_running:fail();
at(1) ->
    {error, not_found};
at(Place) ->
    Key = {?MODULE, Place},
    case persistent_term:get(Key, unknown) of
        unknown -> make(Key, Place);
        Answer -> Answer
    end.

make(Key, Place) ->
    ok = persistent_term:put(Key, {ok, mongoose_domain_nif:host_type(Place)}),
    persistent_term:get(Key).
