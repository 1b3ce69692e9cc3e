"""Runs a whole split with the state machines of this folder, and with dynasplit itself.

.ci/steps calls it; it needs moto[server], PyYAML, Java 17 and a dynasplit (the first argument). The second argument is the folder of
DynamoDB Local.

The stacks of deploy/ecs and of this folder are created in moto, which interprets the definitions. What moto lacks is added here:

- Tasks and services of ECS are processes on this machine, which run the commands of their task definitions. If a container ends with
  another code than 0, `runTask.sync` fails as on AWS.
- `package` uploads the definitions and writes their places into the template. Here they are put into the template itself.
- Executions without a name get one.
- A redrive is an execution of the same definition that starts at the state that failed, with the input of this state. Nothing else
  is changed.
"""

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
REGION = "eu-central-1"
ACCOUNT = "123456789012"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# moto reads the port when it is loaded.
PORT = free_port()
os.environ |= {"MOTO_PORT": str(PORT), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}

import boto3  # noqa: E402
import botocore.session  # noqa: E402
from botocore import xform_name  # noqa: E402
from botocore.config import Config  # noqa: E402
from moto.core.config import default_user_config  # noqa: E402
from moto.ecs.models import EC2ContainerServiceBackend, ecs_backends  # noqa: E402
from moto.events.models import EventPattern  # noqa: E402
from moto.moto_api import state_manager  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402
from moto.stepfunctions.models import stepfunctions_backends  # noqa: E402
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails  # noqa: E402
from moto.stepfunctions.parser.models import StepFunctionsParserBackend  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName  # noqa: E402
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType  # noqa: E402
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService  # noqa: E402
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_ecs import StateTaskServiceEcs  # noqa: E402
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails  # noqa: E402

from packaged import as_text, template  # noqa: E402

PLAN = """\
version: 1
split: shop
source:
  table: Shop
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted: fail
hooks:
  fence: { run: [./flag.sh, source, stop], timeout: 60 }
  unfence: { run: [./flag.sh, source, write], timeout: 60 }
  switch: { run: [./flag.sh, target, write], timeout: 60 }
  fence-target: { run: [./flag.sh, target, stop], timeout: 60 }
  unfence-target: { run: [./flag.sh, target, write], timeout: 60 }
  rollback: { run: [./flag.sh, source, write], timeout: 60 }
drain: { quiet-for: 3 }
services:
  - name: Orders
    where: begins_with(PK, 'ORDER#')
    owns: items
    table:
      name: Orders
      keys: { partition: PK, sort: SK }
  - name: Customers
    where: begins_with(PK, 'CUSTOMER#')
    owns: items
    table:
      name: Customers
      keys: { partition: PK, sort: SK }
"""
# The flag is a file. The hook ends when the writer has seen it.
FLAG = """\
#!/bin/sh
set -eu
file="$FLAGS/$DYNASPLIT_SERVICE.flag"
printf '%s' "$1 $2" >"$file.new"
mv "$file.new" "$file"
while [ "$(cat "$file.seen")" != "$1 $2" ]; do sleep 0.05; done
"""


def until(what, seconds, check):
    """Waits for an event. The limit only ends a test that hangs."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


class Writer(threading.Thread):
    """An application that writes the items of one service where its flag says, and knows what it wrote."""

    def __init__(self, dynamodb, flags, service, prefix):
        super().__init__(daemon=True)
        self.tables = {"source": dynamodb.Table("Shop"), "target": dynamodb.Table(service)}
        self.flag, self.service, self.prefix = f"{flags}/{service}.flag", service, prefix
        self.items, self.written, self.at = {}, 0, "source write"
        self.stopped, self.failure = threading.Event(), None
        for ending in ("", ".seen"):
            with open(self.flag + ending, "w") as file:
                file.write(self.at)

    def key(self, n):
        return {"PK": f"{self.prefix}#{n % 40}", "SK": f"V{n % 3}"}

    def write(self):
        self.written += 1
        n = self.written
        table, key = self.tables[self.at.split()[0]], self.key(n * 7)
        if n % 5 == 4:
            table.delete_item(Key=key)
            self.items.pop((key["PK"], key["SK"]), None)
        else:
            item = key | {"n": n, "text": f"é {n}", "tags": {"a", str(n)}}
            table.put_item(Item=item)
            self.items[key["PK"], key["SK"]] = item

    def run(self):
        try:
            while not self.stopped.is_set():
                with open(self.flag) as file:
                    said = file.read()
                if said != self.at:
                    self.at = said
                    with open(self.flag + ".seen.new", "w") as file:
                        file.write(said)
                    os.rename(self.flag + ".seen.new", self.flag + ".seen")
                # DynamoDB Local rounds the times of its stream, so a cutover learns only from silence how far it was read.
                if self.at.endswith("write") and time.time() % 3 < 1.2:
                    self.write()
                time.sleep(0.03)
        except Exception as error:
            self.failure = error

    def end(self):
        self.stopped.set()
        self.join()
        assert self.failure is None, self.failure


class Machines:
    """Runs tasks and services of ECS as processes."""

    def __init__(self, dynasplit, plan, environment, logs):
        self.dynasplit, self.plan, self.environment, self.logs = dynasplit, plan, environment, logs
        self.started, self.ran, self.codes, self.troubles, self.services, self.lock = [], [], [], [], {}, threading.Lock()
        self.stopped, self.keeper = threading.Event(), threading.Thread(target=self.keep_services, daemon=True)
        self.tail_at_once = 0

    def trouble(self, words, effect):
        """The next task whose command begins so meets this: an exit code, `not-started`, something that is done before, or a signal and when."""
        self.troubles.append((words, effect))

    def trouble_of(self, command):
        with self.lock:
            for at, (words, effect) in enumerate(self.troubles):
                if command[: len(words)] == words:
                    del self.troubles[at]
                    return effect
        return None

    def start(self, command):
        words = [self.plan if word == "/plans/plan.yaml" else word for word in command]
        with self.lock, open(f"{self.logs}/{len(self.started):03}-{command[0]}.txt", "wb") as log:
            process = subprocess.Popen([self.dynasplit, *words], env=self.environment, stdout=log, stderr=log, start_new_session=True)
            self.started.append(process)
        return process

    def run_task(self, task, command):
        effect = self.trouble_of(command)
        with self.lock:
            self.ran.append(command)
        if effect == "not-started":
            return self.ended(task, None)
        if isinstance(effect, int):
            return self.ended(task, effect)
        if callable(effect):
            effect()
        process = self.start(command)
        if isinstance(effect, tuple):
            number, when = effect
            until(f"the moment to interrupt {command}", 300, lambda: when() or process.poll() is not None)
            process.send_signal(number)
        code = process.wait()
        self.codes.append((command[0], code))
        return self.ended(task, code if code >= 0 else 128 - code)

    def ended(self, task, code):
        task.containers[0].exit_code = code
        task.containers[0].exitCode = code
        task.stop_code = "EssentialContainerExited" if code is not None else "TaskFailedToStart"
        task.last_status = "STOPPED"

    def keep_services(self):
        """As a service of ECS: keeps as many processes as are desired, and starts each again whatever its exit code is."""
        backend = ecs_backends[ACCOUNT][REGION]
        while not self.stopped.wait(0.2):
            for service in list(backend.services.values()):
                running = self.services.setdefault(service.name, [])
                running[:] = [process for process in running if process.poll() is None]
                command = backend.describe_task_definition(service.task_definition).container_definitions[0]["command"]
                while len(running) < service.desired_count:
                    running.append(self.start(command))
                for process in running[service.desired_count :]:
                    process.terminate()
                self.tail_at_once = max(self.tail_at_once, len(running))

    def end(self):
        self.stopped.set()
        if self.keeper.is_alive():
            self.keeper.join()
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()


def name_as_aws():
    """Step Functions writes the names of parameters and results in another case than the API of ECS and its own. moto leaves this out."""
    models = botocore.session.get_session()

    def shapes(self, service, action):
        model = models.get_service_model(self._get_boto_service_name(service))
        operations = {xform_name(name): name for name in model.operation_names}
        return model.operation_model(operations[self._get_boto_service_action(action)])

    def parameters(self, parameters, boto_service_name=None, service_action_name=None):
        self._to_boto_request(parameters, shapes(self, boto_service_name, service_action_name).input_shape)

    def response(self, response, boto_service_name=None, service_action_name=None):
        self._from_boto_response(response, shapes(self, boto_service_name, service_action_name).output_shape)

    StateTaskService._normalise_parameters = parameters
    StateTaskService._normalise_response = response


def lend_machines(machines):
    """Lets moto's ECS start processes, and moto's interpreter fail as AWS does if one ends with another code than 0."""
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})
    # Containers of Fargate may share the memory of the task. moto wants a memory of each.
    needs = {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []}
    EC2ContainerServiceBackend._calculate_task_resource_requirements = staticmethod(lambda _: needs)
    recorded = EC2ContainerServiceBackend.run_task

    def run_task(self, cluster_str, task_definition_str, count, overrides, started_by, tags, launch_type, network=None, *more):
        assert launch_type == "FARGATE", launch_type
        awsvpc = network["awsvpcConfiguration"]
        assert awsvpc == {"assignPublicIp": "DISABLED", "subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"]}, awsvpc
        (override,) = overrides["containerOverrides"]
        defined = self.describe_task_definition(task_definition_str).container_definitions[0]
        assert override["name"] == defined["name"] == "dynasplit", override
        if machines.trouble_of(["refused", override["command"][0]]):
            raise RuntimeError("the request to run a task fails")
        tasks = recorded(self, cluster_str, task_definition_str, count, overrides, started_by, tags, launch_type, network, *more)
        for task in tasks:
            task.containers[0].name = defined["name"]
            threading.Thread(target=machines.run_task, args=(task, override["command"]), daemon=True).start()
        return tasks

    EC2ContainerServiceBackend.run_task = run_task
    start_named = StepFunctionsParserBackend.start_execution
    StepFunctionsParserBackend.start_execution = lambda self, machine, name, *more: start_named(self, machine, name or str(uuid.uuid4()), *more)
    resolver_of = StateTaskServiceEcs._build_sync_resolver

    def as_aws(self, env, **arguments):
        resolve = resolver_of(self, env=env, **arguments)

        def resolved():
            task = resolve()
            if not task or all(container.get("ExitCode") == 0 for container in task["Containers"]):
                return task
            details = TaskFailedEventDetails(
                resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type(), error="States.TaskFailed", cause=json.dumps(task, default=str)
            )
            raise FailureEventException(
                FailureEvent(
                    env=env,
                    error_name=StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed),
                    event_type=HistoryEventType.TaskFailed,
                    event_details=EventDetails(taskFailedEventDetails=details),
                )
            )

        return resolved

    StateTaskServiceEcs._build_sync_resolver = as_aws


class Split:
    """The stacks, and what an operator does with them."""

    def __init__(self, machines, work):
        options = {"endpoint_url": f"http://localhost:{PORT}", "region_name": REGION, "config": Config(retries={"max_attempts": 0})}
        self.machines, self.work = machines, work
        self.states, self.sqs, self.sns, self.ecs, self.stacks, self.events = (
            boto3.client(name, **options) for name in ("stepfunctions", "sqs", "sns", "ecs", "cloudformation", "events")
        )
        self.ecs.create_cluster(clusterName="main")
        shared = {"Split": "shop", "Cluster": "main", "TaskRoleArn": f"arn:aws:iam::{ACCOUNT}:role/dynasplit", "Subnets": "subnet-1,subnet-2", "SecurityGroups": "sg-1"}
        tasks = self.stack("tasks", "../ecs/dynasplit.yaml", shared | {"Image": "split:1", "Processes": "0"})
        given = {name: tasks[name] for name in ("CommandTask", "TailService", "ExecutionRoleArn", "LogGroup")}
        self.made = self.stack("steps", "dynasplit.yaml", shared | given | {"MaxPause": "10min", "Email": ""})
        # moto's CloudFormation creates them where its interpreter does not look.
        for machine in stepfunctions_backends[ACCOUNT][REGION].state_machines:
            self.states.create_state_machine(name=machine.name, definition=machine.definition, roleArn=machine.roleArn)
        self.tail = tasks["TailService"]
        self.queue = self.sqs.create_queue(QueueName="operator")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.sns.subscribe(TopicArn=self.made["Topic"], Protocol="sqs", Endpoint=arn)
        self.unread, self.redriven = [], 0

    def stack(self, name, path, parameters):
        listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        self.stacks.create_stack(StackName=name, TemplateBody=json.dumps(template(os.path.join(HERE, path), as_text)), Parameters=listed, Capabilities=["CAPABILITY_IAM"])
        (stack,) = self.stacks.describe_stacks(StackName=name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def mail(self, about, execution):
        """The next message about this."""

        def look():
            answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                self.unread.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            for at, message in enumerate(self.unread):
                if about in message["Subject"]:
                    return self.unread.pop(at)["Message"]
            return None

        def look_while_it_runs():
            status = self.states.describe_execution(executionArn=execution)["status"]
            message = look()
            assert message or status == "RUNNING", f"{status} instead of the message '{about}': {self.last(execution)}; {self.log()}"
            return message

        return until(f"a message about '{about}'", 600, look_while_it_runs)

    def answer(self, message, yes):
        """Runs the command of the message."""
        command = {True: "send-task-success --task-output true", False: "send-task-failure --error Rejected"}[yes]
        token = re.search(rf"^.*aws stepfunctions {command} --task-token (\S+)$", message, re.M).group(1)
        if yes:
            self.states.send_task_success(taskToken=token, output="true")
        else:
            self.states.send_task_failure(taskToken=token, error="Rejected")

    def begin(self, given, machine="Machine"):
        return self.states.start_execution(stateMachineArn=self.made[machine], input=json.dumps(given))["executionArn"]

    def ended(self, execution, expected):
        def look():
            found = self.states.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        found = until("the execution ends", 900, look)
        assert found["status"] == expected, f"{found['status']}: {self.last(execution)}; {self.log()}"
        return found

    def log(self):
        newest = max((entry.path for entry in os.scandir(self.machines.logs)), key=os.path.getmtime, default=None)
        if newest is None:
            return "nothing ran"
        with open(newest, errors="replace") as file:
            return f"{newest}:\n{file.read()[-800:]}"

    def history(self, execution):
        return self.states.get_execution_history(executionArn=execution, maxResults=1000)["events"]

    def last(self, execution):
        return json.dumps(self.history(execution)[-2:], default=str)

    def failed_state(self, execution):
        """The state of the machine itself, not of its maps, that was entered last, and its input."""
        definition = json.loads(self.states.describe_state_machine_for_execution(executionArn=execution)["definition"])
        entered = [event["stateEnteredEventDetails"] for event in self.history(execution) if "stateEnteredEventDetails" in event]
        details = [details for details in entered if details["name"] in definition["States"]][-1]
        return definition, details["name"], details["input"]

    def redrive(self, execution, expected):
        """Continues a failed execution with the state that failed."""
        definition, state, given = self.failed_state(execution)
        assert state == expected, f"{state} failed: {self.last(execution)}"
        self.redriven += 1
        again = definition | {"StartAt": state}
        assert [key for key in definition if definition[key] != again[key]] in (["StartAt"], []), "only the start differs"
        role = f"arn:aws:iam::{ACCOUNT}:role/split"
        made = self.states.create_state_machine(name=f"redriven-{self.redriven}", definition=json.dumps(again), roleArn=role)
        return self.states.start_execution(stateMachineArn=made["stateMachineArn"], input=given)["executionArn"]

    def ran(self, *words):
        """How many tasks had a command that begins so."""
        return len([command for command in self.machines.ran if command[: len(words)] == list(words)])


def exit_codes(split):
    """What each exit code leads to, on the machine of single commands."""
    machines = split.machines
    quick = {"attempts": 3, "mostSeconds": 2}

    def tried(command, effects, expected, attempts, said):
        for effect in effects:
            machines.trouble(command, effect)
        before = split.ran(*command)
        execution = split.begin({"command": command} | quick, "Command")
        if expected == "SUCCEEDED":
            split.ended(execution, expected)
        else:
            message = split.mail("a command failed", execution)
            found = split.ended(execution, expected)
            assert said in message, message
            assert f"({attempts} of 3 attempts)" in message, message
            return found["error"]
        assert split.ran(*command) - before == attempts, (command, machines.ran)
        return None

    assert tried(["schema"], [], "SUCCEEDED", 1, "") is None
    assert tried(["schema"], [1, 4], "SUCCEEDED", 3, "") is None
    assert tried(["schema"], [137], "SUCCEEDED", 2, "") is None
    assert tried(["schema"], ["not-started"], "SUCCEEDED", 2, "") is None
    assert tried(["schema"], [1, 1, 1], "FAILED", 3, "exit code 1") == "Dynasplit.Failed"
    assert tried(["schema"], [4, 4, 4], "FAILED", 3, "exit code 4") == "Dynasplit.Interrupted"
    assert tried(["schema"], [137, 137, 137], "FAILED", 3, "killed") == "Dynasplit.Killed"
    assert tried(["schema"], [3], "FAILED", 1, "exit code 3") == "Dynasplit.NotClean"
    # dynasplit itself says this one.
    assert tried(["plan", "/no-such-plan.yaml"], [], "FAILED", 1, "exit code 2") == "Dynasplit.Wrong"
    # ECS refuses the request once.
    machines.trouble(["refused", "schema"], "once")
    assert tried(["schema"], [], "SUCCEEDED", 1, "") is None
    assert not machines.troubles, machines.troubles
    print("exit codes: 0 ends; 1, 4, a killed task and a refused request are tried again; 2 and 3 are not")


def wrong_input(split):
    for given in ({}, {"services": []}, {"services": ["Orders"], "processes": 0}, {"services": "Orders", "processes": 1}):
        execution = split.begin(given)
        assert split.ended(execution, "FAILED")["error"] == "Dynasplit.WrongInput", given


def expired(split):
    """An approval that nobody gives. The definition differs from the deployed one in its start, and in the seconds of this approval."""
    definition = json.loads(split.states.describe_state_machine(stateMachineArn=split.made["Machine"])["definition"])
    assert definition["States"]["ApproveCutover"]["TimeoutSeconds"] == 72000
    definition["StartAt"] = "ApproveCutover"
    definition["States"]["ApproveCutover"]["TimeoutSeconds"] = 2
    made = split.states.create_state_machine(name="expires", definition=json.dumps(definition), roleArn=f"arn:aws:iam::{ACCOUNT}:role/split")
    execution = split.states.start_execution(stateMachineArn=made["stateMachineArn"], input='{"services":["Orders"],"processes":1}')["executionArn"]
    late = split.mail("approve the cutover", execution)
    message = split.mail("nobody approved the cutover", execution)
    with contextlib.suppress(split.states.exceptions.ClientError):  # AWS refuses it. moto takes it, and does nothing.
        split.answer(late, True)
    split.answer(message, False)
    split.ended(execution, "FAILED")
    assert split.failed_state(execution)[1] == "VerifyAgain"
    assert split.ran("cutover") == 0, split.machines.ran
    print("an approval that came too late counted for nothing, and a new verify was offered")


def whole_split(split, dynamodb, writers):
    machines = split.machines
    given = {"services": ["Orders", "Customers"], "processes": 2}

    # A process of the copy is killed, and started again.
    machines.trouble(["backfill"], (signal.SIGKILL, lambda: True))
    # Somebody else removes an item of a service's table after the copy.
    gone = {"PK": "ORDER#standing", "SK": "V0"}
    machines.trouble(["verify"], lambda: dynamodb.Table("Orders").delete_item(Key=gone))
    execution = split.begin(given)

    # The verify fails for good.
    message = split.mail("a command failed", execution)
    assert '["verify","/plans/plan.yaml"]' in message and "exit code 3" in message, message
    assert f"run: aws stepfunctions redrive-execution --execution-arn {execution}" in message, message
    assert split.ended(execution, "FAILED")["error"] == "States.TaskFailed"
    assert split.ran("verify") == 1, "a difference is not tried again"
    assert split.ran("backfill") == 3, machines.ran
    assert machines.tail_at_once == 2, machines.tail_at_once
    print("a killed process of the copy was started again; a difference stopped the split with a message")

    # The operator repairs it. The split goes on where it was.
    repair = split.begin({"command": ["verify", "/plans/plan.yaml", "--repair", "--discard-target-writes"]}, "Command")
    split.mail("a command failed", repair)  # A repair that repaired something ends with 3.
    split.ended(repair, "FAILED")
    execution = split.redrive(execution, "Verify")
    message = split.mail("approve the cutover", execution)
    assert '["Orders","Customers"]' in message, message
    assert split.ran("backfill") == 3 and split.ran("plan", "/plans/plan.yaml") == 1, machines.ran
    print("after the repair, a redrive continued with the verify")

    # The approval is rejected. A redrive asks again.
    split.answer(message, False)
    assert split.ended(execution, "FAILED")["error"] == "Rejected"
    assert split.ran("cutover") == 0, machines.ran
    execution = split.redrive(execution, "ApproveCutover")
    message = split.mail("approve the cutover", execution)
    assert split.ran("cutover") == 0, machines.ran
    print("a rejected approval stopped the split, and a redrive asked again")

    # A cutover is interrupted while the writers are stopped, and continued.
    machines.trouble(["cutover"], (signal.SIGTERM, lambda: writers[0].at == "source stop"))
    split.answer(message, True)
    message = split.mail("approve the completion", execution)
    where = [writer.at for writer in writers]
    assert where == ["target write", "target write"], where
    order = [command[command.index("--service") + 1] for command in machines.ran if command[0] == "cutover"]
    assert order == ["Orders", "Orders", "Customers"], order
    assert [code for command, code in machines.codes if command == "cutover"] == [4, 0, 0], machines.codes
    assert split.ran("complete") == 0, machines.ran
    print("a cutover was interrupted while the writers were stopped, and continued; then the other service was cut over")

    split.answer(message, True)
    split.ended(execution, "SUCCEEDED")
    assert split.ran("complete") == 3, machines.ran
    until("the tail has ended", 60, lambda: not [process for process in machines.services[split.tail] if process.poll() is None])
    (service,) = split.ecs.describe_services(cluster="main", services=[split.tail])["services"]
    assert service["desiredCount"] == 0, service


def exact(dynamodb, writers):
    for writer in writers:
        writer.end()
        held, page = {}, {}
        while True:
            page = dynamodb.Table(writer.service).scan(ConsistentRead=True, **page)
            held |= {(item["PK"], item["SK"]): item for item in page["Items"]}
            if "LastEvaluatedKey" not in page:
                break
            page = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert held == writer.items, f"{writer.service}: {len(held)} items, and the application wrote {len(writer.items)}"
        assert writer.written > 100, writer.written
    print("every item is in its service's table as the application wrote it last: " + ", ".join(f"{writer.service} {len(writer.items)} of {writer.written} writes" for writer in writers))


def notices(split):
    """The rule tells of each execution that ends before the split is complete, and of nothing else."""
    (rule,) = split.events.list_rules()["Rules"]
    pattern = EventPattern.load(split.events.describe_rule(Name=rule["Name"])["EventPattern"])

    def event(status, machine):
        detail = {"status": status, "stateMachineArn": split.made[machine], "executionArn": "arn:of:execution"}
        return {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}

    told = {(status, machine) for status in ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED") for machine in ("Machine", "Command") if pattern.matches_event(event(status, machine))}
    assert told == {(status, "Machine") for status in ("FAILED", "TIMED_OUT", "ABORTED")}, told
    (target,) = split.events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"] == split.made["Topic"], target


def main():
    dynasplit, local = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that nothing is left behind.
    work = tempfile.mkdtemp(prefix="dynasplit-steps-test-")
    port = free_port()
    engine = subprocess.Popen(
        ["java", f"-Djava.library.path={local}/DynamoDBLocal_lib", "-jar", f"{local}/DynamoDBLocal.jar", "-disableTelemetry", "-inMemory", "-sharedDb", "-port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    for folder in ("logs", "flags", "plans"):
        os.mkdir(f"{work}/{folder}")
    with open(f"{work}/plans/plan.yaml", "w") as file:
        file.write(PLAN)
    with open(f"{work}/plans/flag.sh", "w") as file:
        file.write(FLAG)
    os.chmod(f"{work}/plans/flag.sh", 0o755)
    environment = os.environ | {"AWS_REGION": REGION, "AWS_ENDPOINT_URL_DYNAMODB": endpoint, "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": endpoint, "FLAGS": f"{work}/flags"}
    machines = Machines(dynasplit, f"{work}/plans/plan.yaml", environment, f"{work}/logs")
    logging.disable()
    writers, server = [], ThreadedMotoServer(port=PORT, verbose=False)
    try:
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        server.start()
        name_as_aws()
        lend_machines(machines)
        dynamodb = boto3.resource("dynamodb", endpoint_url=endpoint, region_name=REGION)
        keys = [("PK", "HASH"), ("SK", "RANGE")]
        until("DynamoDB Local answers", 60, lambda: answers(port))
        dynamodb.create_table(
            TableName="Shop", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        )
        split = Split(machines, work)
        machines.keeper.start()
        notices(split)
        wrong_input(split)
        expired(split)
        exit_codes(split)
        writers = [Writer(dynamodb, f"{work}/flags", "Orders", "ORDER"), Writer(dynamodb, f"{work}/flags", "Customers", "CUSTOMER")]
        standing = {"PK": "ORDER#standing", "SK": "V0", "text": "nobody changes it"}
        dynamodb.Table("Shop").put_item(Item=standing)
        writers[0].items[standing["PK"], standing["SK"]] = standing
        for writer in writers:
            for _ in range(60):
                writer.write()
            writer.start()
        whole_split(split, dynamodb, writers)
        exact(dynamodb, writers)
        assert not machines.troubles, machines.troubles
    finally:
        for writer in writers:
            writer.stopped.set()
        machines.end()
        engine.kill()
        shutil.rmtree(work, ignore_errors=True)
    print("passed")
    # Threads of the server and of its interpreter are still there.
    sys.stdout.flush()
    os._exit(0)


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
