defmodule Tenants.TestNode do
  # Starts the server in the VM of the tests, as `mix run` does: with what config/runtime.exs makes of the environment.
  @moduledoc false

  @deadline 30_000

  alias ExUnit.{Callbacks, CaptureLog}
  alias Tenants.Database

  @doc "Returns the port at which tenants are served, the database's URL, and what the start logged."
  @spec start() :: %{port: :inet.port_number(), database: String.t(), log: String.t()}
  def start do
    name = "tenants_#{System.pid()}_#{System.unique_integer([:positive])}"
    directory = Path.join(System.tmp_dir!(), name)
    File.mkdir_p!(directory)
    database = Database.create(directory)

    System.put_env(%{
      "DATABASE_URL" => database,
      "DATA_DIR" => directory,
      "PORT" => "0",
      "ADMIN_PORT" => "0"
    })

    Application.put_all_env(Config.Reader.read!("config/runtime.exs", env: :test))

    log =
      CaptureLog.capture_log(fn ->
        {:ok, _started} = Application.ensure_all_started(:tenants)
        # It logs what the native thread reports: the first load among it.
        :ok = :service_domain_db.sync_local()
      end)

    Callbacks.on_exit(fn ->
      # Captured so that the reports of an orderly stop are not between the results.
      CaptureLog.capture_log(fn ->
        :ok = Application.stop(:tenants)
        :ok = Application.stop(:mongoose_domain)
      end)

      :ok = Database.drop(database)
      File.rm_rf!(directory)
    end)

    [_line, port] = Regex.run(~r"tenants listens at http://127\.0\.0\.1:(\d+)", log)
    %{port: String.to_integer(port), database: database, log: log}
  end

  @doc "Waits for a condition."
  @spec await(fun) :: :ok
  def await(condition), do: await(condition, System.monotonic_time(:millisecond) + @deadline)

  defp await(condition, deadline) do
    cond do
      condition.() -> :ok
      System.monotonic_time(:millisecond) > deadline -> ExUnit.Assertions.flunk("It never was so.")
      true -> await_again(condition, deadline)
    end
  end

  defp await_again(condition, deadline) do
    Process.sleep(20)
    await(condition, deadline)
  end
end
