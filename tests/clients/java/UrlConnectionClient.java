import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** java.net.HttpURLConnection: in every Java there is, and below many libraries. */
public final class UrlConnectionClient {
    private static final String SERVICE = "http://169.254.169.254/latest";
    private static final int PATIENCE_MS = 60_000;

    public static void main(String[] arguments) throws IOException {
        String name = arguments[0];
        String token = ask("PUT", "/api/token", Map.of(
                "X-aws-ec2-metadata-token-ttl-seconds", "60",
                "X-Case", name + "/1"));
        String path = "/meta-data/ami-id?case=" + name + "&n=";
        ask("GET", path + 2, Map.of());
        ask("GET", path + 3, Map.of("X-aws-ec2-metadata-token", token));
        // PID/task/TID of the thread that reads it, which is the one that sent.
        System.out.println("tid " + Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName());
        System.out.println("done");
        System.in.readAllBytes();
    }

    private static String ask(String method, String path, Map<String, String> headers)
            throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(SERVICE + path).openConnection();
        connection.setRequestMethod(method);
        connection.setConnectTimeout(PATIENCE_MS);
        connection.setReadTimeout(PATIENCE_MS);
        headers.forEach(connection::setRequestProperty);
        try (InputStream body = connection.getInputStream()) {
            return new String(body.readAllBytes());
        }
    }
}
