// What tutorials do: fetch each page, make objects of it, write them as gzipped lines.
import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.BufferedWriter;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

class Tutorial {
    public static void main(String[] args) throws Exception {
        Gson gson = new Gson();
        try (BufferedWriter out = new BufferedWriter(new OutputStreamWriter(
                new GZIPOutputStream(new FileOutputStream(args[1])), StandardCharsets.UTF_8))) {
            for (int i = 0; i < Integer.parseInt(args[2]); i++) {
                HttpURLConnection connection = (HttpURLConnection) new URL(args[0]).openConnection();
                connection.setRequestProperty("Accept-Encoding", "gzip");
                try (InputStreamReader in = new InputStreamReader(
                        new GZIPInputStream(connection.getInputStream()), StandardCharsets.UTF_8)) {
                    JsonObject page = gson.fromJson(in, JsonObject.class);
                    for (JsonElement conversation : page.getAsJsonArray("conversations")) {
                        out.write(gson.toJson(conversation));
                        out.newLine();
                    }
                }
            }
        }
    }
}
