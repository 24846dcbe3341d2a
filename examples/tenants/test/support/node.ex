defmodule Tenants.TestNode do
  # Starts the server in the VM of the tests, as `mix run` does: with what config/runtime.exs makes of the environment.
  @moduledoc false

  @deadline 30_000

  alias ExUnit.{Callbacks, CaptureLog}
  alias Tenants.Database

  @doc "Returns the port at which tenants are served, which the log names, and the database's URL."
  @spec start() :: %{port: :inet.port_number(), database: String.t()}
  def start do
    database = configure()
    log = CaptureLog.capture_log(fn -> start_application(:tenants) end)
    [_line, port] = Regex.run(~r"tenants listens at http://127\.0\.0\.1:(\d+)", log)
    %{port: String.to_integer(port), database: database}
  end

  @doc "The configuration of a node with a new database, whose URL is returned. What it starts is stopped after the test."
  @spec configure() :: String.t()
  def configure do
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

    Callbacks.on_exit(fn ->
      stop_applications()
      :ok = Database.drop(database)
      File.rm_rf!(directory)
    end)

    database
  end

  @doc "Returns when the table has what is in the database."
  @spec start_application(:tenants | :mongoose_domain) :: :ok
  def start_application(application) do
    {:ok, _started} = Application.ensure_all_started(application)
    :ok = :service_domain_db.sync_local()
  end

  @spec stop_applications() :: :ok
  def stop_applications do
    # Captured so that the reports of an orderly stop are not between the results.
    CaptureLog.capture_log(fn ->
      for application <- [:tenants, :mongoose_domain], do: Application.stop(application)
    end)

    :ok
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
