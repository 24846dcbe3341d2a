defmodule Tenants.Database do
  # A new database for a test: in the PostgreSQL server that MONGOOSE_DOMAIN_TEST_PG names, else a file of SQLite.
  @moduledoc false

  @doc "Returns the database's URL. `directory` is removed by the caller."
  @spec create(Path.t()) :: String.t()
  def create(directory), do: create(System.get_env("MONGOOSE_DOMAIN_TEST_PG"), directory)

  defp create(nil, directory), do: "sqlite:" <> Path.join(directory, "domains.db")

  defp create(server, _directory) do
    name = "tenants_#{System.pid()}_#{System.unique_integer([:positive])}"
    psql(server, "CREATE DATABASE #{name}")
    URI.to_string(%{URI.parse(server) | path: "/" <> name})
  end

  @spec drop(String.t()) :: :ok
  def drop("sqlite:" <> _file), do: :ok

  def drop(url) do
    "/" <> name = URI.parse(url).path
    psql(System.fetch_env!("MONGOOSE_DOMAIN_TEST_PG"), "DROP DATABASE #{name} WITH (FORCE)")
  end

  @doc "Executes statements as another program does."
  @spec sql(String.t(), String.t()) :: :ok
  def sql("sqlite:" <> file, statements) do
    {_output, 0} = System.cmd("sqlite3", [file, ".timeout 10000", statements])
    :ok
  end

  def sql(url, statements), do: psql(url, statements)

  defp psql(url, statements) do
    {_output, 0} =
      System.cmd("psql", [
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        url,
        "--command",
        statements
      ])

    :ok
  end
end
