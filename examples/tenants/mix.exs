defmodule Tenants.MixProject do
  use Mix.Project

  def project do
    [
      app: :tenants,
      version: "0.1.0",
      elixir: "~> 1.14",
      elixirc_paths: if(Mix.env() == :test, do: ["lib", "test/support"], else: ["lib"]),
      # This example depends on the checkout around it. Another project names a git repository instead.
      deps: [{:mongoose_domain, path: "../..", manager: :rebar3}],
      # The tests start the application themselves, each file with a new database.
      aliases: [test: "test --no-start"],
      releases: [tenants: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [
      mod: {Tenants.Application, []},
      extra_applications: [:logger]
    ]
  end

  def cli, do: [preferred_envs: [release: :prod]]
end
