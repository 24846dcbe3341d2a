%% EUnit tests that are plain functions with sentences as names, all with the same fixture.
%%
%% A test module exports its tests and passes itself; they run in the order of the export list:
%%
%%   all_test_() -> md_promises:of_module(?MODULE, fun setup/0, fun cleanup/1).
-module(md_promises).

-export([of_module/3]).

%% @doc One test for each exported function without arguments.
-spec of_module(module(), fun(() -> Fixture), fun((Fixture) -> term())) -> [term()].
of_module(Module, Setup, Cleanup) ->
    Names = [Name || {Name, 0} <- Module:module_info(exports), not lists:member(Name, [test, all_test_, module_info])],
    [{setup, Setup, Cleanup, {timeout, 60, fun Module:Name/0}} || Name <- Names].
