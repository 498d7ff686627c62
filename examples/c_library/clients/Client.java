// java -cp jna.jar -Djna.library.path=LIB Client.java
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;
import java.util.Locale;

public class Client {
  /** The functions that are used; a handle is a long, as is a size_t here. */
  public interface Series extends Library {
    String series_last_error();

    int series_open(Pointer options, LongByReference model);

    int series_close(long model);

    int series_method_count(long model, LongByReference count);

    int series_method_schema(long model, long index, PointerByReference schema);

    int series_call(long model, String method, long[] arguments, long count, LongByReference result);

    int series_float(double number, LongByReference value);

    int series_string(byte[] text, long bytes, LongByReference value);

    int series_list(long[] items, long count, LongByReference value);

    int series_tensor_copy(
        float[] data, String dtype, long[] shape, long dimensions, LongByReference value);

    int series_read(long value, float[] data, long bytes);

    int series_find(long value, String name, LongByReference item);

    int series_item(long value, long index, LongByReference item);

    int series_size(long value, LongByReference size);

    int series_get_text(long value, PointerByReference text, LongByReference bytes);

    int series_get_int(long value, LongByReference number);

    int series_free(long value);
  }

  static final Series LIBRARY = Native.load("series", Series.class);

  interface Function {
    int call(LongByReference out);
  }

  /** What a function gives by its last argument. */
  static long give(Function function) {
    LongByReference out = new LongByReference();
    check(function.call(out));
    return out.getValue();
  }

  static void check(int status) {
    if (status != 0) {
      throw new IllegalStateException("error " + status + ": " + LIBRARY.series_last_error());
    }
  }

  static long call(long model, String method, long... arguments) {
    return give(out -> LIBRARY.series_call(model, method, arguments, arguments.length, out));
  }

  public static void main(String[] args) {
    long model = give(out -> LIBRARY.series_open(null, out));
    long count = give(out -> LIBRARY.series_method_count(model, out));
    PointerByReference text = new PointerByReference();
    for (long i = 0; i < count; ++i) {
      check(LIBRARY.series_method_schema(model, i, text));
      System.out.println(text.getValue().getString(0, "UTF-8"));
    }

    float[] rows = {1, 2, 3, 4, 2, 6};
    long series =
        give(out -> LIBRARY.series_tensor_copy(rows, "float32", new long[] {2, 3}, 2, out));
    long scale = give(out -> LIBRARY.series_float(0.5, out));
    long first = call(model, null, series, scale);
    for (String name : new String[] {"scaled", "mean"}) {
      long tensor = give(out -> LIBRARY.series_find(first, name, out));
      float[] numbers = new float[name.equals("scaled") ? 6 : 2];
      check(LIBRARY.series_read(tensor, numbers, 4 * numbers.length));
      System.out.print(name + ":");
      for (float number : numbers) System.out.print(String.format(Locale.ROOT, " %.6f", number));
      System.out.println();
      check(LIBRARY.series_free(tensor));
    }

    long a = give(out -> LIBRARY.series_string(new byte[] {'a'}, 1, out));
    long b = give(out -> LIBRARY.series_string(new byte[] {'b'}, 1, out));
    long names = give(out -> LIBRARY.series_list(new long[] {a, b}, 2, out));
    long second = call(model, "describe", series, names);
    long words = give(out -> LIBRARY.series_item(second, 0, out));
    check(LIBRARY.series_get_text(words, text, new LongByReference()));
    System.out.println(text.getValue().getString(0, "UTF-8"));
    long counts = give(out -> LIBRARY.series_item(second, 1, out));
    for (long i = 0; i < give(out -> LIBRARY.series_size(counts, out)); ++i) {
      long index = i;
      long item = give(out -> LIBRARY.series_item(counts, index, out));
      System.out.println("rises: " + give(out -> LIBRARY.series_get_int(item, out)));
      check(LIBRARY.series_free(item));
    }

    try {
      call(model, "forward", series);
    } catch (IllegalStateException error) {
      System.out.println(error.getMessage());
    }
    for (long value : new long[] {series, scale, first, a, b, names, second, words, counts}) {
      check(LIBRARY.series_free(value));
    }
    check(LIBRARY.series_close(model));
  }
}
