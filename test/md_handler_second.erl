%% One of the removal handlers that md_handlers controls.
-module(md_handler_second).
-behaviour(mongoose_domain_removal).

-export([remove_domain/2]).

remove_domain(HostType, Domain) ->
    md_handlers:called(second, HostType, Domain).
