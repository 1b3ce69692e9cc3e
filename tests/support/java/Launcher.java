import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBRequestHandler;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBServerHandler;
import software.amazon.dynamodb.services.local.shared.access.AmazonDynamoDBLocal;

/**
 * Starts DynamoDB Local in memory (one shared database) and takes commands on its standard input, one a line, each
 * answered by one line on its standard output: "roll" closes every open shard and opens its child, "dilate MS" makes
 * all that is in the streams older by so many milliseconds, "quit" ends.
 *
 * <p>It ends when its input ends. Whoever started it holds the other end of that pipe, so it cannot outlive them,
 * however they die.
 *
 * <p>Run from source: java -cp DynamoDBLocal.jar Launcher.java [DIRECTORY]. The directory is the JVM's own temporary
 * directory; it is deleted in the end. (DynamoDB Local copies its native libraries there.)
 */
public final class Launcher {
    /** Another process may take the port between our finding it and the server's opening it. */
    private static final int PORT_ATTEMPTS = 10;

    private Launcher() {}

    public static void main(String[] arguments) throws Exception {
        // The engine prints to standard output too; that one is for answers.
        PrintStream answers = System.out;
        System.setOut(System.err);

        // In memory, no file, one shared database, no artificial delays.
        LocalDynamoDBRequestHandler handler = new LocalDynamoDBRequestHandler(0, true, null, true, false);
        int port = serve(handler);
        AmazonDynamoDBLocal database = sharedDatabase(handler);
        answers.println("ready " + port);
        answers.flush();

        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String answer = "ok";
            try {
                run(database, line.trim());
            } catch (Exception failure) {
                answer = "error " + String.valueOf(failure).replace('\n', ' ');
            }
            answers.println(answer);
            answers.flush();
            if (line.trim().equals("quit")) {
                break;
            }
        }
        if (arguments.length > 0) {
            delete(Path.of(arguments[0]));
        }
        // The server's threads are not daemons, and nothing here is worth an orderly end.
        Runtime.getRuntime().halt(0);
    }

    private static void run(AmazonDynamoDBLocal database, String command) {
        if (command.equals("roll")) {
            database.triggerShardRollovers();
        } else if (command.startsWith("dilate ")) {
            database.dilateEventTimes(Long.parseLong(command.substring("dilate ".length())));
        } else if (!command.equals("quit")) {
            throw new IllegalArgumentException("unknown command: " + command);
        }
    }

    /** The other process does this, too, unless it dies, or holds the engine until its end. */
    private static void delete(Path directory) {
        try (Stream<Path> files = Files.walk(directory)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        } catch (IOException gone) {
            System.err.println("not deleted: " + gone);
        }
    }

    private static int serve(LocalDynamoDBRequestHandler handler) throws Exception {
        for (int attempt = 1; ; attempt++) {
            int port = freePort();
            DynamoDBProxyServer server =
                    new DynamoDBProxyServer(port, new LocalDynamoDBServerHandler(handler, null));
            try {
                server.start();
                return port;
            } catch (IOException taken) {
                if (attempt == PORT_ATTEMPTS) {
                    throw taken;
                }
            }
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return probe.getLocalPort();
        }
    }

    /** The instance that serves every region and every access key: what the shared database is called inside. */
    private static AmazonDynamoDBLocal sharedDatabase(LocalDynamoDBRequestHandler handler) throws Exception {
        Method lookup = LocalDynamoDBRequestHandler.class.getDeclaredMethod("getHandler", String.class);
        lookup.setAccessible(true);
        return (AmazonDynamoDBLocal) lookup.invoke(handler, "shared-local-instance");
    }
}
